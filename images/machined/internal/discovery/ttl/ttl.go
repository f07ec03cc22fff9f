// Package ttl reads from the machine config how long a silent node is believed in. It is apart from discovery for those
// who check a config before a node follows it, and imports machinery's config only.
package ttl

import (
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config/config"
)

// Variable, set in the environment of the machine config, says how long the others believe in a node that is silent, as
// a duration such as "30s".
const Variable = "BRONZE_DISCOVERY_TTL"

// Default is how long that is where nothing is set. A node that dies is forgotten between two thirds of it and all of it
// later.
const Default = 45 * time.Second

// The bounds of what may be set. Servers refuse a longer one.
const (
	Shortest = 3 * time.Second
	Longest  = 30 * time.Minute
)

// Of is what the machine config sets Variable to, or else Default. A document of kind EnvironmentConfig goes before
// machine.env, as everywhere.
func Of(cfg config.Config) (time.Duration, error) {
	text, ok := cfg.Environment().Variables()[Variable]
	if !ok {
		text = cfg.Machine().Env()[Variable]
	}

	if text == "" {
		return Default, nil
	}

	ttl, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("cannot read %s of the machine config's environment: %w", Variable, err)
	}

	if ttl < Shortest || ttl > Longest {
		return 0, fmt.Errorf("cannot use %s=%s of the machine config's environment: give a duration from %s to %s", Variable, ttl, Shortest, Longest)
	}

	return ttl, nil
}
