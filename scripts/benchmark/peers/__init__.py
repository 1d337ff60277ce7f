"""Other libraries at the same work. Each file needs its own library and the standard library, and nothing of ours."""
