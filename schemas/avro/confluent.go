package avro

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Confluent is a registry of Confluent's HTTP API; Apicurio serves the same below /apis/ccompat/v7.
// What it has once answered is kept: an id never changes its schema. Unknown ids are asked again
// each time.
type Confluent struct {
	base   string
	client *http.Client
	mu     sync.RWMutex
	byID   map[uint32]string
	ids    map[string]uint32 // subject + schema → id
}

// NewConfluent checks the URL's form and asks nothing. The client is the caller's, with its own
// time-out; nil is http.DefaultClient.
func NewConfluent(base string, client *http.Client) (*Confluent, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil,
			errors.New(
				"registry url: want http://host:port or https://host:port, with a path if need be")
	}
	if client == nil {
		client = http.DefaultClient
	}
	return &Confluent{base: strings.TrimSuffix(base, "/"), client: client,
		byID: map[uint32]string{}, ids: map[string]uint32{}}, nil
}

// notFoundSchema is the registry's own code for an id that it does not have. A 404 without it is a
// wrong address.
const notFoundSchema = 40403

// ByID implements Registry.
func (c *Confluent) ByID(ctx context.Context, id uint32) (string, error) {
	c.mu.RLock()
	s, ok := c.byID[id]
	c.mu.RUnlock()
	if ok {
		return s, nil
	}
	var answer struct {
		Schema     string            `json:"schema"`
		SchemaType string            `json:"schemaType"`
		References []json.RawMessage `json:"references"`
	}
	if err := c.call(ctx, http.MethodGet, fmt.Sprintf("/schemas/ids/%d", id), nil,
		&answer); err != nil {
		return "", fmt.Errorf("ask registry for schema %d: %w", id, err)
	}
	if answer.SchemaType != "" && answer.SchemaType != "AVRO" || len(answer.References) > 0 {
		return "",
			fmt.Errorf("ask registry for schema %d: it is no Avro schema that stands alone: %w", id,
				ErrUnknownID)
	}
	if answer.Schema == "" {
		return "", fmt.Errorf("ask registry for schema %d: the answer has no schema", id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[id] = answer.Schema
	return answer.Schema, nil
}

// Register implements Registry.
func (c *Confluent) Register(ctx context.Context, subject, schema string) (uint32, error) {
	key := subject + "\n" + schema
	c.mu.RLock()
	id, ok := c.ids[key]
	c.mu.RUnlock()
	if ok {
		return id, nil
	}
	body, err := json.Marshal(map[string]string{"schema": schema})
	if err != nil {
		return 0, fmt.Errorf("register schema: %w", err)
	}
	var answer struct {
		ID uint32 `json:"id"`
	}
	err = c.call(ctx, http.MethodPost, "/subjects/"+url.PathEscape(subject)+"/versions", body,
		&answer)
	if err != nil {
		return 0, fmt.Errorf("register schema %s: %w", subject, err)
	}
	if answer.ID == 0 {
		return 0, fmt.Errorf("register schema %s: the answer has no id", subject)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[key] = answer.ID
	return answer.ID, nil
}

// call asks the registry once. ErrUnknownID is its word that there is no such schema; whatever else
// is no answer of a registry is an error of the world, with the status and what the registry says.
func (c *Confluent) call(ctx context.Context, method, where string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+where, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.schemaregistry.v1+json, application/json")
	req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 2*maxSchemaSize))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 == 2 {
		if err := json.Unmarshal(text, answer); err != nil {
			return errors.New("the answer is no JSON of a registry")
		}
		return nil
	}
	var fault struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &fault) // a proxy's error has no JSON
	if resp.StatusCode == http.StatusNotFound && fault.Code == notFoundSchema {
		return ErrUnknownID
	}
	return fmt.Errorf("%s: %s", resp.Status, fault.Message)
}
