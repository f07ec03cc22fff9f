package registries

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Logins is the part of containerd's configuration file that holds the credentials for registries, empty where there
// are none. containerd reads it only when it starts.
func Logins(c Config) string {
	var text strings.Builder

	auths := c.RegistryAuthConfigs()

	for _, host := range slices.Sorted(maps.Keys(auths)) {
		fmt.Fprintf(&text, "\n[plugins.'io.containerd.cri.v1.images'.registry.configs.%s.auth]\n", quote(host))

		for _, field := range []struct{ name, value string }{
			{"username", auths[host].Username()},
			{"password", auths[host].Password()},
			{"auth", auths[host].Auth()},
			{"identitytoken", auths[host].IdentityToken()},
		} {
			if field.value != "" {
				fmt.Fprintf(&text, "  %s = %s\n", field.name, quote(field.value))
			}
		}
	}

	return text.String()
}

// quote makes a TOML basic string, which any JSON string is.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		// Strings always encode.
		panic(err)
	}

	return string(quoted)
}
