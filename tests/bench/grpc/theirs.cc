// The official C++ stack as a peer of bench_grpc, in the form that its documents call the fastest: completion queues, one
// thread a side, messages as raw bytes without protobuf.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/rpc_method.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench/grpc/peer.h"

namespace
{

using grpc::ByteBuffer;

// What a completion queue gives back; `step` goes on.
struct event {
    virtual ~event() = default;
    virtual void step(bool ok) = 0;
};

void run(grpc::CompletionQueue *queue)
{
    void *tag;
    bool ok;

    while (queue->Next(&tag, &ok))
        static_cast<event *>(tag)->step(ok);
}

std::string read_file(const std::string &path)
{
    std::ifstream file(path);
    std::stringstream text;

    text << file.rdbuf();
    return text.str();
}

// ---- the server ----------------------------------------------------------------------------------------------

// As grpc_cpp_plugin writes it for raw methods (WithRawMethod_…).
class service final : public grpc::Service
{
  public:
    service()
    {
        using grpc::internal::RpcMethod;
        AddMethod(new grpc::internal::RpcServiceMethod(PEER_ECHO, RpcMethod::NORMAL_RPC, nullptr));
        AddMethod(
            new grpc::internal::RpcServiceMethod(PEER_CHAT, RpcMethod::BIDI_STREAMING, nullptr));
        MarkMethodRaw(0);
        MarkMethodRaw(1);
    }
    using grpc::Service::RequestAsyncBidiStreaming;
    using grpc::Service::RequestAsyncUnary;
};

struct server_side {
    service methods;
    std::unique_ptr<grpc::ServerCompletionQueue> queue;
};

struct unary_answer final : event {
    server_side *side;
    grpc::ServerContext context;
    ByteBuffer message;
    grpc::ServerAsyncResponseWriter<ByteBuffer> writer{&context};
    bool answered = false;

    explicit unary_answer(server_side *s) : side(s)
    {
        auto *q = side->queue.get();
        side->methods.RequestAsyncUnary(0, &context, &message, &writer, q, q, this);
    }
    void step(bool ok) override
    {
        if (!ok || answered) {
            delete this;
            return;
        }
        new unary_answer(side);
        answered = true;
        writer.Finish(message, grpc::Status::OK, this);
    }
};

struct chat_answer final : event {
    enum { waiting, reading, writing, ending } state = waiting;
    server_side *side;
    grpc::ServerContext context;
    ByteBuffer message;
    grpc::ServerAsyncReaderWriter<ByteBuffer, ByteBuffer> stream{&context};

    explicit chat_answer(server_side *s) : side(s)
    {
        auto *q = side->queue.get();
        side->methods.RequestAsyncBidiStreaming(1, &context, &stream, q, q, this);
    }
    void step(bool ok) override
    {
        if (state == waiting && ok)
            new chat_answer(side);
        if (state == ending || (state == waiting && !ok)) {
            delete this;
        } else if (state == reading && ok) {
            state = writing;
            stream.Write(message, this);
        } else if (!ok) {
            state = ending;
            stream.Finish(grpc::Status::OK, this);
        } else {
            state = reading;
            stream.Read(&message, this);
        }
    }
};

void serve(const peer_args &args)
{
    const int ready = 1000; // answers that wait for calls
    server_side side;
    grpc::ServerBuilder builder;
    int port = 0;

    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    if (args.cert[0]) {
        grpc::SslServerCredentialsOptions options;
        options.pem_key_cert_pairs.push_back({read_file(args.key), read_file(args.cert)});
        credentials = grpc::SslServerCredentials(options);
    }
    builder.AddListeningPort("127.0.0.1:0", credentials, &port);
    builder.RegisterService(&side.methods);
    side.queue = builder.AddCompletionQueue();
    auto server = builder.BuildAndStart();
    if (!server)
        bench_fail("the C++ server", nullptr);
    for (int i = 0; i < ready; i++)
        new unary_answer(&side);
    new chat_answer(&side);
    peer_print_port(port);
    run(side.queue.get());
}

// ---- the client -----------------------------------------------------------------------------------------------

struct client_side {
    const peer_args *args;
    std::unique_ptr<grpc::GenericStub> stub;
    grpc::CompletionQueue queue;
    ByteBuffer payload;
    peer_round round = {};
};

void check(const client_side &side, const grpc::Status &status, const ByteBuffer &answer)
{
    if (!status.ok())
        bench_fail(status.error_message().c_str(), nullptr);
    if (answer.Length() != side.args->size)
        bench_fail("an answer of another size", nullptr);
}

struct unary_call final : event {
    client_side *side;
    grpc::ClientContext context;
    ByteBuffer answer;
    grpc::Status status;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;

    explicit unary_call(client_side *s) : side(s)
    {
        reader = side->stub->PrepareUnaryCall(&context, PEER_ECHO, side->payload, &side->queue);
        reader->StartCall();
        reader->Finish(&answer, &status, this);
    }
    void step(bool) override
    {
        check(*side, status, answer);
        peer_round_count(&side->round);
        new unary_call(side);
        delete this;
    }
};

// Reads and writes go on beside each other, `in_flight` messages apart.
struct chat_call {
    struct half final : event {
        chat_call *call;
        bool is_reader;
        half(chat_call *c, bool r) : call(c), is_reader(r)
        {
        }
        void step(bool ok) override
        {
            if (!ok)
                bench_fail("the stream ended", nullptr);
            if (is_reader)
                call->read_done();
            else
                call->write_done();
        }
    };
    client_side *side;
    grpc::ClientContext context;
    ByteBuffer answer;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
    half reader{this, true}, writer{this, false};
    unsigned in_flight = 0;
    bool writing = true, started = false;

    explicit chat_call(client_side *s) : side(s)
    {
        stream = side->stub->PrepareCall(&context, PEER_CHAT, &side->queue);
        stream->StartCall(&writer);
    }
    void write_more()
    {
        writing = in_flight < side->args->in_flight;
        if (!writing)
            return;
        in_flight++;
        stream->Write(side->payload, &writer);
    }
    void write_done()
    {
        if (!started)
            stream->Read(&answer, &reader);
        started = true;
        write_more();
    }
    void read_done()
    {
        in_flight--;
        check(*side, grpc::Status::OK, answer);
        peer_round_count(&side->round);
        stream->Read(&answer, &reader);
        if (!writing)
            write_more();
    }
};

void ask(const peer_args &args)
{
    client_side side;
    grpc::ChannelArguments options;
    std::string target = "127.0.0.1:" + std::to_string(args.port);
    std::unique_ptr<chat_call> chat;

    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (args.cert[0]) {
        grpc::SslCredentialsOptions ssl;
        ssl.pem_root_certs = read_file(args.cert);
        credentials = grpc::SslCredentials(ssl);
        options.SetSslTargetNameOverride(PEER_NAME);
    }
    side.args = &args;
    side.stub = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(target, credentials, options));
    grpc::Slice bytes(std::string(args.size, '\0'));
    side.payload = ByteBuffer(&bytes, 1);
    peer_round_begin(&side.round, &args);
    if (args.is_stream)
        chat = std::make_unique<chat_call>(&side);
    else
        for (unsigned i = 0; i < args.in_flight; i++)
            new unary_call(&side);
    run(&side.queue);
}

} // namespace

int main(int argc, char **argv)
{
    peer_args args;

    peer_parse(&args, argc, argv);
    if (peer_is(&args, "server"))
        serve(args);
    else if (peer_is(&args, "client"))
        ask(args);
    return 0;
}
