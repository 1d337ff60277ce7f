%% Tells a process of another node; a count a line in, nanoseconds a line out.
-module(bench).
-export([main/1, receiver/2]).

envelope(Body) -> {envelope, <<"9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f">>, <<"engine-0042">>, <<"proxy">>, Body}.

receiver(0, Boss) -> Boss ! done;
receiver(Left, Boss) -> receive {envelope, _, _, _, _} -> receiver(Left - 1, Boss) end.

tell(_, _, 0) -> ok;
tell(To, Body, Left) -> To ! envelope(Body), tell(To, Body, Left - 1).

measure(Node, Body, Count) ->
    To = spawn(Node, ?MODULE, receiver, [Count, self()]),
    Began = erlang:monotonic_time(nanosecond),
    tell(To, Body, Count),
    receive done -> erlang:monotonic_time(nanosecond) - Began end.

main([Name]) ->
    Node = list_to_atom(Name),
    connect(Node, 100),
    io:format("ready~n"),
    loop(Node, binary:copy(<<"x">>, 100)).

connect(_, 0) -> halt(1);
connect(Node, Tries) ->
    case net_kernel:connect_node(Node) andalso rpc:call(Node, erlang, node, []) of
        Node -> ok;
        _ -> timer:sleep(100), connect(Node, Tries - 1)
    end.

loop(Node, Body) ->
    case io:get_line("") of
        Line when is_list(Line) ->
            {Count, _} = string:to_integer(Line),
            io:format("~w~n", [measure(Node, Body, Count)]),
            loop(Node, Body);
        _ -> rpc:cast(Node, erlang, halt, []), halt(0)
    end.
