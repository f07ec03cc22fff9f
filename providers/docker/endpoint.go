package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/provision"
)

// env is what the choice of an engine depends on.
type env struct {
	// host and context are DOCKER_HOST and DOCKER_CONTEXT.
	host, context string
	// configDir is the docker command's, ~/.docker as a rule.
	configDir string
}

func environment() env {
	e := env{
		host:      os.Getenv(client.EnvOverrideHost),
		context:   os.Getenv("DOCKER_CONTEXT"),
		configDir: os.Getenv("DOCKER_CONFIG"),
	}
	if home, err := os.UserHomeDir(); err == nil && e.configDir == "" {
		e.configDir = filepath.Join(home, ".docker")
	}
	return e
}

// endpoint is how an engine is reached. The zero value means DOCKER_HOST and its kin, or the default socket.
type endpoint struct {
	host string
	// tlsDir holds ca.pem, cert.pem and key.pem; empty without TLS.
	tlsDir string
}

// contextMeta is the part of a docker context's meta.json that is of use here.
type contextMeta struct {
	Endpoints map[string]struct {
		Host string
	}
}

// findEndpoint chooses in the order of the docker command: DOCKER_HOST, DOCKER_CONTEXT, the current context.
func findEndpoint(e env) (endpoint, error) {
	if e.host != "" {
		return endpoint{}, checkScheme(e.host)
	}
	name := e.context
	if name == "" {
		current, err := currentContext(e.configDir)
		if err != nil {
			return endpoint{}, err
		}
		name = current
	}
	if name == "" || name == "default" {
		return endpoint{}, nil
	}
	return contextEndpoint(e.configDir, name)
}

func currentContext(configDir string) (string, error) {
	path := filepath.Join(configDir, "config.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read docker's configuration: %w", err)
	}
	var config struct{ CurrentContext string }
	if err := json.Unmarshal(text, &config); err != nil {
		return "", fmt.Errorf("cannot read %s: %w", path, err)
	}
	return config.CurrentContext, nil
}

// contextEndpoint reads a docker context, which lies under the SHA-256 of its name.
func contextEndpoint(configDir, name string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	text, err := os.ReadFile(filepath.Join(configDir, "contexts", "meta", id, "meta.json"))
	if err != nil {
		err = fmt.Errorf("cannot read docker context %q: %w", name, err)
		return endpoint{}, provision.WithHint(err, "docker context ls shows those that are there; docker context use default")
	}
	var meta contextMeta
	if err := json.Unmarshal(text, &meta); err != nil {
		return endpoint{}, fmt.Errorf("cannot read docker context %q: %w", name, err)
	}
	found := endpoint{host: meta.Endpoints["docker"].Host}
	if tlsDir := filepath.Join(configDir, "contexts", "tls", id, "docker"); isDir(tlsDir) {
		found.tlsDir = tlsDir
	}
	return found, checkScheme(found.host)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkScheme refuses what the engine's client cannot dial by itself.
func checkScheme(host string) error {
	if strings.HasPrefix(host, "ssh://") {
		err := fmt.Errorf("cannot reach a docker engine over %s", host)
		return provision.WithHint(err, "forward its socket: ssh -L /tmp/docker.sock:/var/run/docker.sock, then DOCKER_HOST=unix:///tmp/docker.sock")
	}
	return nil
}

func (e endpoint) client() (*client.Client, error) {
	options := []client.Opt{client.FromEnv}
	if e.host != "" {
		options = []client.Opt{client.WithHost(e.host)}
	}
	if e.tlsDir != "" {
		ca, cert, key := filepath.Join(e.tlsDir, "ca.pem"), filepath.Join(e.tlsDir, "cert.pem"), filepath.Join(e.tlsDir, "key.pem")
		options = append(options, client.WithTLSClientConfig(ca, cert, key))
	}
	engine, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the docker client: %w", err)
	}
	return engine, nil
}
