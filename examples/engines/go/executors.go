package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"google.golang.org/grpc/codes"
)

// Put your own here, by the names that definitions call them.
var executors = map[string]Executor{
	"noop":   echo,
	"echo":   echo,
	"double": double,
	"pause":  pause,
	"flaky":  flaky,
}

func echo(_ context.Context, with json.RawMessage, _ Task) (any, error) {
	return with, nil
}

// {"n": 21}
func double(_ context.Context, with json.RawMessage, _ Task) (any, error) {
	var given struct{ N *big.Int }
	if err := read(with, &given); err != nil {
		return nil, err
	}
	if given.N == nil {
		return nil, &StepError{Code: codes.InvalidArgument, Message: "n is missing", Final: true}
	}
	return given.N.Lsh(given.N, 1), nil
}

// {"seconds": 1.5}; ends early when it is told to stop.
func pause(ctx context.Context, with json.RawMessage, _ Task) (any, error) {
	given := struct{ Seconds float64 }{1}
	if err := read(with, &given); err != nil {
		return nil, err
	}
	timer := time.NewTimer(time.Duration(given.Seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return with, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// {"good_from": 3}: the attempts before that one fail.
func flaky(_ context.Context, with json.RawMessage, task Task) (any, error) {
	given := struct {
		GoodFrom uint32 `json:"good_from"`
	}{2}
	if err := read(with, &given); err != nil {
		return nil, err
	}
	if task.Attempt < given.GoodFrom {
		return nil, &StepError{Code: codes.Unavailable, Message: fmt.Sprintf("attempt %d of %s fails", task.Attempt, task.IdempotencyKey)}
	}
	return with, nil
}

func read(with json.RawMessage, out any) error {
	if err := json.Unmarshal(with, out); err != nil {
		return &StepError{Code: codes.InvalidArgument, Message: err.Error(), Final: true}
	}
	return nil
}
