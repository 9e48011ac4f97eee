//go:build linux

package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// answerMax bounds the body of an answer, in bytes.
const answerMax = 4 << 20

// loopback keeps no connections: a node that died must not answer from the
// grave of a pooled one.
var loopback = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}}

// call performs c at the node that listens on port.
func call(ctx context.Context, port uint16, c Call) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.Method, fmt.Sprintf("http://127.0.0.1:%d%s", port, c.Path), bytes.NewReader(c.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := loopback.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", c.Method, c.Path, err)
	}
	return &Answer{Status: resp.StatusCode, Body: body}, nil
}
