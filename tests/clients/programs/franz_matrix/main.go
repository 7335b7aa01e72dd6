// Writes an event of each format with schemas that it registers through franz-go's client, and reads the events of
// other clients: `franz_matrix-program URL` prints its events as one line of JSON, reads a line with the events of all
// clients, and prints their values.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	avroText  = `{"type":"record","name":"User","namespace":"go","fields":[{"name":"id","type":"int"},{"name":"name","type":"string"}]}`
	jsonText  = `{"title":"User","type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"}}}`
	protoText = "syntax = \"proto3\";\npackage go;\n\nmessage User {\n  int32 id = 1;\n  string name = 2;\n}\n"
)

var (
	ctx    = context.Background()
	client *sr.Client
	header sr.ConfluentHeader
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func descriptor(id int) protoreflect.MessageDescriptor {
	found := must(client.SchemaByID(sr.WithParams(ctx, sr.Format("serialized")), id))
	file := &descriptorpb.FileDescriptorProto{}
	bytes := must(base64.StdEncoding.DecodeString(found.Schema))
	must(0, proto.Unmarshal(bytes, file))
	return must(protodesc.NewFile(file, nil)).Messages().Get(0)
}

func write(kind sr.SchemaType, text string, value map[string]any) string {
	made := must(client.CreateSchema(ctx, "go-"+kind.String(), sr.Schema{Schema: text, Type: kind}))
	var payload []byte
	var index []int
	switch kind {
	case sr.TypeAvro:
		payload = must(avro.Marshal(must(avro.Parse(text)), value))
	case sr.TypeJSON:
		payload = must(json.Marshal(value))
	case sr.TypeProtobuf:
		index = []int{0}
		message := dynamicpb.NewMessage(descriptor(made.ID))
		fields := message.Descriptor().Fields()
		message.Set(fields.ByName("id"), protoreflect.ValueOfInt32(int32(value["id"].(int))))
		message.Set(fields.ByName("name"), protoreflect.ValueOfString(value["name"].(string)))
		payload = must(proto.Marshal(message))
	}
	return hex.EncodeToString(append(must(header.AppendEncode(nil, made.ID, index)), payload...))
}

func read(event string) map[string]any {
	id, rest, err := header.DecodeID(must(hex.DecodeString(event)))
	must(0, err)
	schema := must(client.SchemaByID(ctx, id))
	value := map[string]any{}
	switch schema.Type {
	case sr.TypeAvro:
		must(0, avro.Unmarshal(must(avro.Parse(schema.Schema)), rest, &value))
	case sr.TypeJSON:
		must(0, json.Unmarshal(rest, &value))
	case sr.TypeProtobuf:
		_, rest, err = header.DecodeIndex(rest, 1)
		must(0, err)
		message := dynamicpb.NewMessage(descriptor(id))
		must(0, proto.Unmarshal(rest, message))
		fields := message.Descriptor().Fields()
		value["id"] = message.Get(fields.ByName("id")).Int()
		value["name"] = message.Get(fields.ByName("name")).String()
	}
	return value
}

func main() {
	client = must(sr.NewClient(sr.URLs(os.Args[1])))
	value := map[string]any{"id": 3, "name": "go"}
	out := json.NewEncoder(os.Stdout)
	out.Encode([]string{
		write(sr.TypeAvro, avroText, value), write(sr.TypeJSON, jsonText, value), write(sr.TypeProtobuf, protoText, value),
	})
	var events []string
	must(0, json.Unmarshal(must(bufio.NewReader(os.Stdin).ReadBytes('\n')), &events))
	values := []map[string]any{}
	for _, event := range events {
		values = append(values, read(event))
	}
	out.Encode(values)
}
