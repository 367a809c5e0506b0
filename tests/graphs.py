"""What a traced function holds, for tests of what it costs."""


def operations(graph, seen=None):
    """Every operation of a graph and, once, of each graph that it calls."""
    seen = set() if seen is None else seen
    for operation in graph.get_operations():
        yield operation
        for name in operation.node_def.attr:
            value = operation.node_def.attr[name]
            for function in (value.func, *value.list.func):
                if function.name and function.name not in seen:
                    seen.add(function.name)
                    called = graph._get_function(function.name).graph
                    yield from operations(called, seen)


def shapes(operation):
    """The shapes of an operation's inputs and outputs, as tuples.

    Those of unknown rank are left out; an unknown size is None.
    """
    tensors = [*operation.inputs, *operation.outputs]
    return [tuple(t.shape) for t in tensors if t.shape.rank is not None]
