// Uses a schema registry through franz-go's client: registers, looks up, checks, configures and deletes.
//
//	franz_registry-program URL
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/sr"
)

const (
	first  = `{"type":"record","name":"User","fields":[{"name":"id","type":"int"}]}`
	second = `{"type":"record","name":"User","fields":[{"name":"id","type":"int"},{"name":"n","type":"string","default":""}]}`
	third  = `{"type":"record","name":"User","fields":[{"name":"id","type":"int"},{"name":"m","type":"string"}]}`
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	ctx := context.Background()
	client := must(sr.NewClient(sr.URLs(os.Args[1])))
	one := must(client.CreateSchema(ctx, "franz", sr.Schema{Schema: first}))
	two := must(client.CreateSchema(ctx, "franz", sr.Schema{Schema: second}))
	found := must(client.LookupSchema(ctx, "franz", sr.Schema{Schema: first}))
	check := must(client.CheckCompatibility(ctx, "franz", -1, sr.Schema{Schema: third}))
	_, refused := client.CreateSchema(ctx, "franz", sr.Schema{Schema: third})
	levels := client.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull}, "franz")
	modes := client.SetMode(ctx, sr.ModeReadOnly, "franz")
	back := client.SetMode(ctx, sr.ModeReadWrite, "franz")
	uses := must(client.SchemaUsagesByID(ctx, one.ID))
	var encoded sr.ConfluentHeader
	bytes := must(encoded.AppendEncode(nil, two.ID, nil))
	id, _, err := encoded.DecodeID(bytes)
	must(id, err)
	told := map[string]any{
		"ids":        []int{one.ID, two.ID},
		"version":    found.Version,
		"compatible": check.Is,
		"refused":    refused != nil,
		"level":      levels[0].Level.String(),
		"modes":      []string{modes[0].Mode.String(), back[0].Mode.String()},
		"uses":       len(uses),
		"decoded":    id,
		"versions":   must(client.SubjectVersions(ctx, "franz")),
		"deleted":    must(client.DeleteSubject(ctx, "franz", sr.SoftDelete)),
		"types":      len(must(client.SupportedTypes(ctx))),
		"text":       must(client.SchemaTextByID(ctx, one.ID)) == first,
	}
	json.NewEncoder(os.Stdout).Encode(told)
}
