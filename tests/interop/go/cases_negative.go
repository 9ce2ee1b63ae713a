package main

import "google.golang.org/grpc/codes"

// The cases against bad_server.py, which says what has to come of each.
var negativeCases = map[string]func(*target) error{
	"goaway":             func(t *target) error { return firstError(largeUnary(t), largeUnary(t)) },
	"rst_after_header":   expectInternal,
	"rst_during_data":    expectInternal,
	"rst_after_data":     expectInternal,
	"ping":               largeUnary,
	"max_streams":        maxStreams,
	"data_frame_padding": severalLarge,
	"no_df_padding":      severalLarge,
}

const several = 10

func init() {
	for name, run := range negativeCases {
		cases[name] = run
	}
}

func expectInternal(t *target) error {
	return expectStatus(largeUnary(t), codes.Internal)
}

func maxStreams(t *target) error {
	if err := largeUnary(t); err != nil {
		return err
	}
	return concurrently(several, func() error { return largeUnary(t) })
}

func severalLarge(t *target) error {
	return repeatedly(several, func() error { return largeUnary(t) })
}
