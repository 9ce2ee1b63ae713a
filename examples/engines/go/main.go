// An engine for liborch: it runs workflows that an orchestrator hands over in gRPC, with checkpoints. Written from orch/v1/engine.proto, with the
// official stack (grpc-go). README.md says how to build and run it.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	pb "orch-engine/orchpb"
)

func main() {
	host, _ := os.Hostname()
	listen := flag.String("listen", "127.0.0.1:50062", "host:port; port 0 takes a free one, which is printed")
	name := flag.String("name", host, "of the engine")
	capacity := flag.Uint("capacity", 32, "executions at a time")
	grace := flag.Duration("grace", 30*time.Second, "what running steps have to end after SIGTERM")
	flag.Parse()
	if err := serve(*listen, newEngine(*name, uint32(*capacity)), *grace); err != nil {
		log.Fatal(err)
	}
}

func serve(listen string, e *engine, grace time.Duration) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server, healthy := newServer(e)
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ending
		signal.Stop(ending) // a second one ends it at once
		healthy.Shutdown()  // whoever watches sees NOT_SERVING first
		e.drain(grace)
		stopGently(server)
	}()
	fmt.Printf("listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

func newServer(e *engine) (*grpc.Server, *health.Server) {
	server := grpc.NewServer(
		// The orchestrator pings after ten seconds of silence, perhaps when the last call has just ended; gRPC's own limit is one ping in five minutes.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		// And an orchestrator whose machine is gone has to be noticed: what it handed over is detached then.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}))
	healthy := health.NewServer()
	pb.RegisterEngineServiceServer(server, e)
	healthpb.RegisterHealthServer(server, healthy)
	healthy.SetServingStatus(pb.EngineService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	return server, healthy
}

// What was said last is to arrive; but a peer that does not hang up does not hold us.
func stopGently(server *grpc.Server) {
	timer := time.AfterFunc(time.Second, server.Stop)
	defer timer.Stop()
	server.GracefulStop()
}
