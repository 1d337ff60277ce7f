"""The screens: a picture and a size in, lines of text out. Pure.

frame    title, page, foot        cluster, node, link, engines, events, letters: a page each        helping: `?`
"""
