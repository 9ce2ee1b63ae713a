"""The interop peer of gRPC's Python stack; ../README.md has the command line."""

import argparse
import os
import sys

import grpc

# What protoc made of Debian's grpc-proto lies in packages named grpc.*, as does the stack itself.
grpc.__path__.append(os.path.join(os.environ["INTEROP_GENERATED"], "grpc"))

import cases  # noqa: E402 -- they import what the line above has made findable
import server  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser()
    roles = parser.add_subparsers(dest="role", required=True)
    serve = roles.add_parser("server")
    serve.add_argument("--list", action="store_true")
    serve.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    call = roles.add_parser("client")
    call.add_argument("--list", action="store_true")
    call.add_argument("address", nargs="?")
    call.add_argument("case", nargs="?")
    call.add_argument("--tls", metavar="CA")
    call.add_argument("--name")
    return parser.parse_args()


def run_client(args):
    case = cases.CASES.get(args.case)
    if not case:
        print(f"no such case: {args.case}")
        return 1
    try:
        with cases.Target(args.address, args.tls, args.name) as target:
            case(target)
    except (cases.Failure, grpc.RpcError) as error:
        print(f"{args.case}: {error}")
        return 1
    return 0


def main():
    args = arguments()
    if args.list:
        print("\n".join(cases.CASES if args.role == "client" else server.CASES))
        return 0
    return run_client(args) if args.role == "client" else server.run(args.tls)


sys.exit(main())
