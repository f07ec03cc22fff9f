package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// fit takes out of an OCI runtime config what the host would refuse. What it does not know it leaves as it was.
func fit(config []byte, host host) ([]byte, error) {
	// Numbers stay text: an unlimited rlimit is 2^64-1, which a float64 does not hold.
	decoder := json.NewDecoder(bytes.NewReader(config))
	decoder.UseNumber()

	var spec map[string]any
	if err := decoder.Decode(&spec); err != nil {
		return nil, fmt.Errorf("cannot parse the config: %w", err)
	}

	process, ok := spec["process"].(map[string]any)
	if !ok {
		return config, nil
	}

	fitCapabilities(process, host.Capabilities)
	fitLimits(process, host.Limits)
	fitOOMScore(process, host.OOMScoreAdj)

	return json.Marshal(spec)
}

// fitCapabilities drops from each set (bounding, effective, ...) what the host does not hold.
func fitCapabilities(process map[string]any, held []string) {
	sets, _ := process["capabilities"].(map[string]any)
	for name, set := range sets {
		if names, ok := set.([]any); ok {
			sets[name] = slices.DeleteFunc(names, func(name any) bool { return !slices.Contains(held, fmt.Sprint(name)) })
		}
	}
}

// fitLimits lowers each resource limit to the hard limit of the host.
func fitLimits(process map[string]any, hard map[string]uint64) {
	entries, _ := process["rlimits"].([]any)
	for _, entry := range entries {
		limit, _ := entry.(map[string]any)

		most, bounded := hard[fmt.Sprint(limit["type"])]
		for _, key := range []string{"hard", "soft"} {
			value, err := strconv.ParseUint(fmt.Sprint(limit[key]), 10, 64)
			if bounded && err == nil && value > most {
				limit[key] = most
			}
		}
	}
}

func fitOOMScore(process map[string]any, lowest int) {
	asked, err := strconv.Atoi(fmt.Sprint(process["oomScoreAdj"]))
	if err == nil && asked < lowest {
		process["oomScoreAdj"] = lowest
	}
}
