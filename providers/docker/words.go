package docker

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// lastLines is how much of a dead node's log goes into an error.
const lastLines = "10"

// LastWords are the last ten lines of the container's log, standard output before standard error.
func (p *Provider) LastWords(ctx context.Context, node string) (string, error) {
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: lastLines}
	logs, err := p.engine.ContainerLogs(ctx, node, options)
	if err != nil {
		return "", fmt.Errorf("cannot read the log of container %q: %w", node, err)
	}
	defer logs.Close()
	var out, problems bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &problems, logs); err != nil {
		return "", fmt.Errorf("cannot read the log of container %q: %w", node, err)
	}
	return strings.TrimSpace(out.String() + problems.String()), nil
}
