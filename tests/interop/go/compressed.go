package main

import (
	"context"
	"sync"

	_ "google.golang.org/grpc/encoding/gzip" // registers it
	"google.golang.org/grpc/stats"
)

// The stack hands over messages decompressed. Whether they came compressed only its statistics tell: by the
// encoding of the call, and by a length on the wire that is not the message's.
type received struct {
	mutex      sync.Mutex
	encoding   string
	compressed []bool // of each message so far
}

type receivedKey struct{}

func withReceived(ctx context.Context) (context.Context, *received) {
	state := &received{}
	return context.WithValue(ctx, receivedKey{}, state), state
}

func receivedOf(ctx context.Context) *received {
	state, _ := ctx.Value(receivedKey{}).(*received)
	return state
}

func (r *received) all() []bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return append([]bool{}, r.compressed...)
}

func (r *received) last() bool {
	all := r.all()
	return len(all) > 0 && all[len(all)-1]
}

type recorder struct{}

func (recorder) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	if receivedOf(ctx) == nil {
		ctx, _ = withReceived(ctx)
	}
	return ctx
}

func (recorder) HandleRPC(ctx context.Context, event stats.RPCStats) {
	state := receivedOf(ctx)
	state.mutex.Lock()
	defer state.mutex.Unlock()
	switch e := event.(type) {
	case *stats.InHeader:
		state.encoding = e.Compression
	case *stats.InPayload:
		named := state.encoding != "" && state.encoding != "identity"
		state.compressed = append(state.compressed, named && e.CompressedLength != e.Length)
	}
}

func (recorder) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (recorder) HandleConn(context.Context, stats.ConnStats)                       {}
