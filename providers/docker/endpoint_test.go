package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/bronze-os/bronze/provision"
)

// configDir is a docker command's, with a current context and the contexts "far" and "overssh".
func configDir(t *testing.T, current string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), `{"currentContext": "`+current+`"}`)
	for name, host := range map[string]string{"far": "tcp://10.1.2.3:2376", "overssh": "ssh://me@host"} {
		write(t, filepath.Join(dir, "contexts", "meta", idOf(name), "meta.json"),
			`{"Name": "`+name+`", "Endpoints": {"docker": {"Host": "`+host+`", "SkipTLSVerify": false}}}`)
	}
	return dir
}

func idOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheEngineIsFoundAsTheDockerCommandDoes(t *testing.T) {
	far := configDir(t, "far")
	for name, test := range map[string]struct {
		env  env
		want string
	}{
		"nothing said":                               {env{configDir: t.TempDir()}, ""},
		"the current context":                        {env{configDir: far}, "tcp://10.1.2.3:2376"},
		"DOCKER_CONTEXT over the current context":    {env{configDir: configDir(t, "overssh"), context: "far"}, "tcp://10.1.2.3:2376"},
		"DOCKER_CONTEXT back to the default":         {env{configDir: far, context: "default"}, ""},
		"DOCKER_HOST, which the client reads, first": {env{configDir: far, host: "unix:///x.sock", context: "far"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := findEndpoint(test.env)
			if err != nil || got.host != test.want {
				t.Errorf("got %+v, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestAContextBringsItsCertificates(t *testing.T) {
	dir := configDir(t, "far")
	tlsDir := filepath.Join(dir, "contexts", "tls", idOf("far"), "docker")
	write(t, filepath.Join(tlsDir, "ca.pem"), "")
	got, err := findEndpoint(env{configDir: dir})
	if err != nil || got.tlsDir != tlsDir {
		t.Errorf("got %+v, %v, want certificates of %s", got, err, tlsDir)
	}
}

func TestAnEngineThatCannotBeReachedIsRefusedWithACure(t *testing.T) {
	broken := t.TempDir()
	write(t, filepath.Join(broken, "config.json"), "{")
	for name, test := range map[string]struct {
		env  env
		hint bool
	}{
		"an unknown context":           {env{configDir: configDir(t, "nowhere")}, true},
		"a context over ssh":           {env{configDir: configDir(t, "overssh")}, true},
		"DOCKER_HOST over ssh":         {env{host: "ssh://me@host"}, true},
		"a broken docker config":       {env{configDir: broken}, false},
		"DOCKER_CONTEXT that is wrong": {env{configDir: configDir(t, "far"), context: "nowhere"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := findEndpoint(test.env)
			if err == nil {
				t.Fatalf("got %+v, want an error", got)
			}
			if hints := provision.Hints(err); test.hint && len(hints) == 0 {
				t.Errorf("error %v has no hint", err)
			}
		})
	}
}
