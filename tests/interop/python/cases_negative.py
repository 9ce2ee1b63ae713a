"""The client's cases against bad_server.py, which says what has to come of each.

Left out: data_frame_padding, for this stack takes padded DATA frames for an error.
"""

import grpc
from cases import DEADLINE_S, case, check_large, expect_status, large_request, large_unary

SEVERAL = 10


@case
def goaway(target):
    large_unary(target)
    large_unary(target)


def expect_internal(target):
    expect_status(lambda: target.stub.UnaryCall(large_request(), timeout=DEADLINE_S), grpc.StatusCode.INTERNAL)


@case
def rst_after_header(target):
    expect_internal(target)


@case
def rst_during_data(target):
    expect_internal(target)


@case
def rst_after_data(target):
    expect_internal(target)


@case
def ping(target):
    large_unary(target)


@case
def max_streams(target):
    large_unary(target)
    for call in [target.stub.UnaryCall.future(large_request(), timeout=DEADLINE_S) for _ in range(SEVERAL)]:
        check_large(call.result())


@case
def no_df_padding(target):
    for _ in range(SEVERAL):
        large_unary(target)
