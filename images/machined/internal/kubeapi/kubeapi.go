// Package kubeapi is the little of a Kubernetes client that PID 1 needs: requests with JSON, creation and watches
// of plain objects. client-go would double machined's size and start-up time for the same few calls.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// FieldManager is who Kubernetes notes as the owner of the fields that machined sets.
const FieldManager = "machined"

// Client speaks to one Kubernetes API server or balancer.
type Client struct {
	base  string
	http  *http.Client
	token string
}

// New makes a client for the API at base (https://host:port) that shows a client certificate in config.
func New(base string, config *tls.Config) *Client {
	return &Client{base: base, http: &http.Client{Transport: &http.Transport{
		TLSClientConfig:     config,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     30 * time.Second,
	}}}
}

// WithToken answers a client that shows a bearer token.
func (c *Client) WithToken(token string) *Client {
	return &Client{base: c.base, http: c.http, token: token}
}

// At answers a client of the API at another base that shares its connections.
func (c *Client) At(base string) *Client {
	return &Client{base: base, http: c.http, token: c.token}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// StatusError is an answer of the API other than 2xx.
type StatusError struct {
	Code int
	// Message is the API's own.
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// IsStatus tells whether err is an answer with that HTTP status code.
func IsStatus(err error, code int) bool {
	var status *StatusError

	return errors.As(err, &status) && status.Code == code
}

// Request is one call of the API.
type Request struct {
	Method string
	// Path starts with a slash and may hold a query.
	Path string
	// Body is sent as JSON where it is not nil.
	Body any
	// ContentType is application/json where it is empty.
	ContentType string
}

// Do sends a request and decodes the answer into answer, unless that is nil.
func (c *Client) Do(ctx context.Context, request Request, answer any) error {
	response, err := c.send(ctx, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	if answer == nil {
		_, err = io.Copy(io.Discard, response.Body)
	} else {
		err = json.NewDecoder(response.Body).Decode(answer)
	}

	if err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", request.Method, request.Path, err)
	}

	return nil
}

// Object fetches the object at path.
func (c *Client) Object(ctx context.Context, path string, into any) error {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: path}, into)
}

// Healthy answers nil when the API serves path with 2xx.
func (c *Client) Healthy(ctx context.Context, path string) error {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: path}, nil)
}

func (c *Client) send(ctx context.Context, request Request) (*http.Response, error) {
	var body bytes.Buffer

	if request.Body != nil {
		if err := json.NewEncoder(&body).Encode(request.Body); err != nil {
			return nil, fmt.Errorf("cannot encode the body of %s %s: %w", request.Method, request.Path, err)
		}
	}

	call, err := http.NewRequestWithContext(ctx, request.Method, c.base+request.Path, &body)
	if err != nil {
		return nil, fmt.Errorf("cannot make a request of %s %s: %w", request.Method, request.Path, err)
	}

	call.Header.Set("Accept", "application/json")
	call.Header.Set("Content-Type", request.ContentType)

	if request.ContentType == "" {
		call.Header.Set("Content-Type", "application/json")
	}

	if c.token != "" {
		call.Header.Set("Authorization", "Bearer "+c.token)
	}

	response, err := c.http.Do(call)
	if err != nil {
		return nil, err
	}

	if response.StatusCode/100 != 2 {
		defer response.Body.Close()
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.Path, statusOf(response))
	}

	return response, nil
}

func statusOf(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 16<<10))

	var status struct{ Message string }
	if json.Unmarshal(text, &status) != nil || status.Message == "" {
		status.Message = string(text)
	}

	return &StatusError{Code: response.StatusCode, Message: status.Message}
}
