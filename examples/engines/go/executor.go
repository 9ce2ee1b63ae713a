package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Task is one attempt of one step.
type Task struct {
	StepID  string
	Attempt uint32 // 1, 2, …
	// The same in all attempts of a step. An engine can die after an executor has acted and before that is stored; then the step runs again,
	// elsewhere. Give the key to the services that you call.
	IdempotencyKey string
}

// Executor is what a step does. It gets the step's evaluated `with`, and gives what can become JSON. The context ends when nobody wants the
// result any more: the execution is cancelled, out of time, or replaced. Attempts run in goroutines of their own, many at a time.
type Executor func(ctx context.Context, with json.RawMessage, task Task) (any, error)

// StepError says how a step fails. Other errors may be returned too: one of gRPC's keeps its code, all else is UNKNOWN.
type StepError struct {
	Code    codes.Code
	Message string
	Final   bool // no further attempt would do better
}

func (e *StepError) Error() string { return e.Message }

func asStepError(err error) *StepError {
	var failure *StepError
	if errors.As(err, &failure) {
		return failure
	}
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err)
	}
	return &StepError{Code: s.Code(), Message: s.Message()}
}

// A panic of an executor is a failure of the step, not of the engine.
func execute(ctx context.Context, executor Executor, with any, task Task) (output []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	input, err := toJSON(with)
	if err != nil {
		return nil, err
	}
	value, err := executor(ctx, input, task)
	if err != nil {
		return nil, err
	}
	return toJSON(value)
}
