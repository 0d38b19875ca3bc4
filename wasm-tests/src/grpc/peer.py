"""A gRPC server and a gRPC client without generated code: a message is bytes.

peer.py serve CODE: answers each call with this status, or with the one that the call asks for.
peer.py call ADDRESS METHOD COUNT ANSWER: makes calls one by one, and prints the number of each status.
"""

import json
import os
import sys
from collections import Counter
from concurrent import futures

import grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}


def serve(default):
    def end(context):
        asked = dict(context.invocation_metadata()).get("answer") or default
        if asked == "exit":
            os._exit(1)
        if int(asked):
            context.abort(CODES[int(asked)], "as asked")

    def unary(request, context):
        end(context)
        return request

    def stream(request, context):
        yield request  # The headers and a message are sent before anything is wrong.
        end(context)
        yield request

    def wait(request, context):
        yield request
        context.add_callback(lambda: None)
        while context.is_active():
            yield request

    server = grpc.server(futures.ThreadPoolExecutor(8))
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Wait": grpc.unary_stream_rpc_method_handler(wait),
    }
    service = grpc.method_handlers_generic_handler("split.Test", handlers)
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


def call(address, method, count, answer):
    counts = Counter()
    with grpc.insecure_channel(address) as channel:
        path = f"/split.Test/{method}"
        unary, stream = channel.unary_unary(path), channel.unary_stream(path)
        metadata = [("answer", answer)] if answer else []
        for _ in range(int(count)):
            try:
                if method == "Unary":
                    unary(b"x", metadata=metadata)
                else:
                    responses = stream(b"x", metadata=metadata)
                    for _ in responses:
                        if method == "Wait":
                            responses.cancel()
                counts["OK"] += 1
            except grpc.RpcError as error:
                counts[error.code().name] += 1
    print(json.dumps(counts))


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
