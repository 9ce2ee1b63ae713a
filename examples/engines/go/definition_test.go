package main

import (
	"errors"
	"testing"
)

func TestWhatIsNotKnownIsNamed(t *testing.T) {
	for text, wanted := range map[string]string{
		`{"id":"w","version":"1.0.0","on_failure":{},"outputs":{},"steps":[]}`:                                   "on_failure, outputs",
		`{"steps":[{"id":"s","executor":"lua"}]}`:                                                                "executor lua of step s",
		`{"steps":[{"id":"a","executor":"noop"},{"id":"b","executor":"noop","for_each":[1],"when":"true"}]}`:     "for_each of step b, when of step b",
		`{"steps":[{"id":"s","executor":"noop","run_if":"all_done","continue_on_failure":true,"timeout":"1s"}]}`: "continue_on_failure of step s, run_if of step s, timeout of step s",
		`{"steps":[{"id":"s","executor":"noop","retry":{"max_attempts":2,"until":"noon"}}]}`:                     "until in retry of step s",
		`{"steps":[{"id":"s","executor":"noop","with":{"a":"${1 + 1}"}}]}`:                                       "the expression ${1 + 1}",
		`{"steps":[],"output":"${#steps}"}`:                                                                      "the expression ${#steps}",
	} {
		_, err := readDefinition([]byte(text))
		var what unsupported
		if !errors.As(err, &what) || string(what) != wanted {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWhatIsKnown(t *testing.T) {
	text := `{"id":"w","version":"1.2.3","description":"d","labels":{},"timeout":"1m","inputs":{"n":"integer"},"output":"${steps.b.output}",
	"steps":[{"id":"b","executor":"noop","depends_on":["a"],"run_if":"all_succeeded","checkpoint":true,"continue_on_failure":false,"with":1},
	{"id":"a","executor":"noop","description":"d","retry":{"max_elapsed":"1d"}}]}`
	d, err := readDefinition([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if d.id != "w" || d.version != "1.2.3" || len(d.steps) != 2 || len(d.steps[0].dependsOn) != 1 || d.steps[0].dependsOn[0] != 1 {
		t.Errorf("%+v", d)
	}
	if d.steps[0].retry.MaxAttempts != 1 || d.steps[1].retry.MaxAttempts != 3 {
		t.Errorf("%+v", d)
	}
}

func TestBrokenDefinitionsAreErrors(t *testing.T) {
	for _, text := range []string{``, `[]`, `{"steps":1}`, `{"steps":[1]}`, `{"steps":[{"id":"s","executor":"noop","retry":{"jitter":"much"}}]}`,
		`{"steps":[{"id":"s","executor":"noop","retry":{"non_retryable":["NO_SUCH"]}}]}`, `{"steps":[{"id":"s","executor":"noop","retry":1}]}`} {
		if d, err := readDefinition([]byte(text)); err == nil {
			t.Errorf("%s: %+v", text, d)
		}
	}
}

func TestInputsHaveDefaults(t *testing.T) {
	d, err := readDefinition([]byte(`{"steps":[],"inputs":{"a":"integer","b":{"type":"integer","default":7},"c":{"type":"any","default":7},
		"d":{"type":"integer","default":7},"e":{"type":"any","default":7},"f":{"type":"string"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	input, err := d.input([]byte(`{"b":null,"c":null,"d":8}`))
	if text, _ := toJSON(input); err != nil || string(text) != `{"b":7,"c":null,"d":8,"e":7}` {
		t.Errorf("%s, %v", text, err)
	}
	if input, err = d.input(nil); err != nil || len(input) != 4 {
		t.Errorf("%v, %v", input, err)
	}
}
