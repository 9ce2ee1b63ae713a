package main

import (
	"bytes"
	"encoding/json"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
)

// Numbers stay as they were written. Nothing is null.
func fromJSON(data []byte) (any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	err := decoder.Decode(&value)
	return value, err
}

func toJSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimRight(text.Bytes(), "\n"), err
}

func errorJSON(c codes.Code, message string) []byte {
	text, _ := toJSON(map[string]any{"code": code.Code_name[int32(c)], "message": message}) // texts always become JSON
	return text
}
