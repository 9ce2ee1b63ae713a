package main

import (
	"regexp"
	"strings"
)

// A template of plain paths. A text that is one ${…} and nothing else becomes the value, with its type. In other text a string is inserted as it
// is, null as nothing, all else as JSON. $${ is a literal ${.
type template func(scope map[string]any) (any, error)

// A path's ["…"] may hold what would end the expression elsewhere.
var markPattern = regexp.MustCompile(`\$\$\{|\$\{((?:[^}"']|"[^"]*"|'[^']*')*)\}`)

func readTemplate(text []byte) (template, error) {
	value, err := fromJSON(text)
	if err != nil {
		return nil, err
	}
	return compileTemplate(value)
}

func compileTemplate(value any) (template, error) {
	switch value := value.(type) {
	case map[string]any:
		return compileObject(value)
	case []any:
		return compileList(value)
	case string:
		return compileText(value)
	}
	return literal(value), nil
}

func literal(value any) template {
	return func(map[string]any) (any, error) { return value, nil }
}

func compileObject(object map[string]any) (template, error) {
	members := make(map[string]template, len(object))
	for key, value := range object {
		member, err := compileTemplate(value)
		if err != nil {
			return nil, err
		}
		members[key] = member
	}
	return func(scope map[string]any) (any, error) {
		made := make(map[string]any, len(members))
		for key, member := range members {
			value, err := member(scope)
			if err != nil {
				return nil, err
			}
			made[key] = value
		}
		return made, nil
	}, nil
}

func compileList(list []any) (template, error) {
	items := make([]template, len(list))
	for i, value := range list {
		item, err := compileTemplate(value)
		if err != nil {
			return nil, err
		}
		items[i] = item
	}
	return func(scope map[string]any) (any, error) {
		made := make([]any, len(items))
		for i, item := range items {
			value, err := item(scope)
			if err != nil {
				return nil, err
			}
			made[i] = value
		}
		return made, nil
	}, nil
}

func compileText(text string) (template, error) {
	marks := markPattern.FindAllStringSubmatchIndex(text, -1)
	if strings.Contains(markPattern.ReplaceAllString(text, ""), "${") {
		return nil, unsupported("the expression in " + text)
	}
	if len(marks) == 0 {
		return literal(text), nil
	}
	if mark := marks[0]; mark[0] == 0 && mark[1] == len(text) && mark[2] >= 0 {
		return compilePath(text[mark[2]:mark[3]]) // it keeps its type
	}
	var pieces []template
	at := 0
	for _, mark := range marks {
		piece := literal("${")
		if mark[2] >= 0 {
			var err error
			if piece, err = compilePath(text[mark[2]:mark[3]]); err != nil {
				return nil, err
			}
		}
		pieces = append(pieces, literal(text[at:mark[0]]), piece)
		at = mark[1]
	}
	return joined(append(pieces, literal(text[at:]))), nil
}

func joined(pieces []template) template {
	return func(scope map[string]any) (any, error) {
		var made strings.Builder
		for _, piece := range pieces {
			value, err := piece(scope)
			if err != nil {
				return nil, err
			}
			if err := writeText(&made, value); err != nil {
				return nil, err
			}
		}
		return made.String(), nil
	}
}

func writeText(to *strings.Builder, value any) error {
	switch value := value.(type) {
	case nil:
	case string:
		to.WriteString(value)
	default:
		text, err := toJSON(value)
		if err != nil {
			return err
		}
		to.Write(text)
	}
	return nil
}

// Something that this engine cannot do; the text names it.
type unsupported string

func (u unsupported) Error() string { return "this engine does not know: " + string(u) }
