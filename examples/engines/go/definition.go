package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// What of a definition this engine knows. It refuses the rest by name, rather than run it wrongly.
type definition struct {
	id, version string
	steps       []step
	output      template
	inputs      map[string]json.RawMessage
}

type step struct {
	id, executor string
	dependsOn    []int
	with         template
	retry        retryPolicy
}

type rawDefinition struct {
	ID      string                     `json:"id"`
	Version string                     `json:"version"`
	Steps   []json.RawMessage          `json:"steps"`
	Output  json.RawMessage            `json:"output"`
	Inputs  map[string]json.RawMessage `json:"inputs"`
}

type rawStep struct {
	ID        string          `json:"id"`
	Executor  string          `json:"executor"`
	DependsOn []string        `json:"depends_on"`
	With      json.RawMessage `json:"with"`
	Retry     json.RawMessage `json:"retry"`
}

// A definition may also spell out a default of what this engine does not know. The workflow's `timeout` comes as Start.deadline_ms.
var (
	workflowKeys = set("id", "version", "description", "labels", "timeout", "inputs", "steps", "output")
	stepKeys     = set("id", "description", "executor", "with", "depends_on", "retry")
	stepDefaults = map[string]string{"run_if": `"all_succeeded"`, "continue_on_failure": "false", "checkpoint": "true"}
)

func set(keys ...string) map[string]bool {
	made := map[string]bool{}
	for _, key := range keys {
		made[key] = true
	}
	return made
}

func readDefinition(text []byte) (*definition, error) {
	var raw rawDefinition
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	steps, err := readSteps(raw.Steps)
	if err != nil {
		return nil, err
	}
	unknown, err := unknownKeys(text, "", workflowKeys, nil)
	for place := range steps {
		if err != nil {
			return nil, err
		}
		var more []string
		more, err = steps[place].unknown(raw.Steps[place])
		unknown = append(unknown, more...)
	}
	if err == nil && len(unknown) > 0 {
		err = unsupported(strings.Join(unknown, ", "))
	}
	if err != nil {
		return nil, err
	}
	return build(&raw, steps)
}

func readSteps(texts []json.RawMessage) ([]rawStep, error) {
	steps := make([]rawStep, len(texts))
	for place, text := range texts {
		if err := json.Unmarshal(text, &steps[place]); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

func (s *rawStep) unknown(text json.RawMessage) ([]string, error) {
	where := fmt.Sprintf(" of step %s", s.ID)
	unknown, err := unknownKeys(text, where, stepKeys, stepDefaults)
	if err != nil {
		return nil, err
	}
	if len(s.Retry) > 0 {
		more, err := unknownKeys(s.Retry, " in retry"+where, retryKeys, nil)
		if err != nil {
			return nil, err
		}
		unknown = append(unknown, more...)
	}
	if executors[s.Executor] == nil {
		unknown = append(unknown, "executor "+s.Executor+where)
	}
	return unknown, nil
}

// All but those known, and but those with the value that they have anyhow.
func unknownKeys(text json.RawMessage, where string, known map[string]bool, defaults map[string]string) ([]string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	var unknown []string
	for key, value := range object {
		if !known[key] && (defaults[key] == "" || defaults[key] != string(value)) {
			unknown = append(unknown, key+where)
		}
	}
	sort.Strings(unknown)
	return unknown, nil
}

func build(raw *rawDefinition, steps []rawStep) (*definition, error) {
	places := map[string]int{}
	for place, s := range steps {
		places[s.ID] = place
	}
	d := &definition{id: raw.ID, version: raw.Version, steps: make([]step, len(steps)), inputs: raw.Inputs}
	for place, s := range steps {
		made := step{id: s.ID, executor: s.Executor}
		for _, cause := range s.DependsOn {
			made.dependsOn = append(made.dependsOn, places[cause])
		}
		var err error
		if made.retry, err = readRetry(s.Retry); err != nil {
			return nil, fmt.Errorf("retry of step %s: %w", s.ID, err)
		}
		if made.with, err = readTemplate(s.With); err != nil {
			return nil, fmt.Errorf("with of step %s: %w", s.ID, err)
		}
		d.steps[place] = made
	}
	var err error
	if d.output, err = readTemplate(raw.Output); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return d, nil
}

// An execution's input, with the defaults of what was left out; the orchestrator has checked the rest. Null counts as left out, but for `any`.
func (d *definition) input(text []byte) (map[string]any, error) {
	value, err := fromJSON(text)
	if err != nil {
		return nil, err
	}
	input, ok := value.(map[string]any)
	if !ok {
		input = map[string]any{}
	}
	for name, declared := range d.inputs {
		var spec struct {
			Type    string
			Default json.RawMessage
		}
		if json.Unmarshal(declared, &spec) != nil || spec.Default == nil {
			continue // a type alone
		}
		given, ok := input[name]
		if ok && (given != nil || spec.Type == "any") {
			continue
		}
		if input[name], err = fromJSON(spec.Default); err != nil {
			return nil, err
		}
	}
	return input, nil
}
