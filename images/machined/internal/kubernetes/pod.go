package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
)

// probeDelay keeps liveness probes out of the boot: a component that two cores start beside six others may be slow to
// answer once, and a probe that kills it then costs more than it gives.
const probeDelay = 60

// directoryOrCreate makes the directory on the node where there is none.
const directoryOrCreate = "DirectoryOrCreate"

// stopLimit is how many seconds a component has between SIGTERM and SIGKILL. kube-apiserver would wait much longer for
// watches that never end, and all that time nobody serves.
const stopLimit = 5

// manifestAnnotation holds the digest of a manifest, by which a mirror in the API tells that it is out of date;
// manifestVariable tells a process the same.
const (
	manifestAnnotation = "bronze-os.github.io/manifest"
	manifestVariable   = "BRONZE_MANIFEST"
)

// manifest is the pod as a file for the kubelet. Its UID says which component of which node it is, and nothing else. A
// pod that is another one the kubelet would start only after some 10 s of back-off, and once the API, which may be that
// very pod, has let it delete the mirror of the one before; of one that changes, it starts a container that has ended with
// what the manifest now says: Renew.
func (c component) manifest(node string) ([]byte, error) {
	uid := sha256.Sum256([]byte(node + "/" + c.name))
	c.uid = hex.EncodeToString(uid[:16])

	mark, err := digest(c.pod())
	if err != nil {
		return nil, err
	}

	c.mark = mark

	return json.MarshalIndent(c.pod(), "", "  ")
}

// programsDir is where a component finds its program.
const programsDir = "/usr/local/bin"

// pod answers the manifest's content. The pod has the node's network, its secrets by mount, and no service account.
func (c component) pod() map[string]any {
	program := filepath.Join(programsDir, c.name)

	mounts := append([]hostMount{
		{name: "program", host: programFile, path: program, kind: "File"},
		{name: "secrets", host: filepath.Join(SecretsDir, c.name), path: filepath.Join(SecretsDir, c.name), kind: directoryOrCreate},
	}, c.mounts...)

	var volumes, volumeMounts []map[string]any

	for _, m := range mounts {
		volumes = append(volumes, map[string]any{"name": m.name, "hostPath": map[string]any{"path": m.host, "type": m.kind}})
		volumeMounts = append(volumeMounts, map[string]any{"name": m.name, "mountPath": m.path, "readOnly": !m.writable})
	}

	return map[string]any{
		"apiVersion": "v1",
		"kind":       "Pod",
		"metadata": map[string]any{
			"name":        c.name,
			"uid":         c.uid,
			"namespace":   "kube-system",
			"labels":      map[string]any{"tier": "control-plane", "k8s-app": c.name, "component": c.name},
			"annotations": map[string]any{inputsAnnotation: c.inputs, manifestAnnotation: c.mark},
		},
		"spec": map[string]any{
			"hostNetwork":                   true,
			"terminationGracePeriodSeconds": stopLimit,
			"priorityClassName":             "system-cluster-critical",
			// The kubelet sets the priority from the class only through the API, which these pods are.
			"priority":        2000000000,
			"securityContext": map[string]any{"seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			"volumes":         volumes,
			"containers": []map[string]any{{
				"name":            c.name,
				"image":           c.image,
				"imagePullPolicy": "IfNotPresent",
				"command":         append([]string{program}, c.flags.Arguments()...),
				"env":             c.environment(),
				"volumeMounts":    volumeMounts,
				"resources":       c.requests(),
				"livenessProbe": map[string]any{
					"httpGet":             map[string]any{"host": "127.0.0.1", "path": "/healthz", "port": c.healthPort, "scheme": "HTTPS"},
					"initialDelaySeconds": probeDelay,
					"periodSeconds":       20,
					"timeoutSeconds":      15,
				},
			}},
		},
	}
}

func (c component) environment() []map[string]any {
	env := append(bootEnvironment(c.memoryLimit), map[string]any{"name": manifestVariable, "value": c.mark})

	for _, name := range slices.Sorted(maps.Keys(c.env)) {
		env = append(env, map[string]any{"name": name, "value": c.env[name]})
	}

	return env
}

func (c component) requests() map[string]any {
	bounds := func(cpu, memory string) map[string]any {
		set := map[string]any{}
		if cpu != "" {
			set["cpu"] = cpu
		}

		if memory != "" {
			set["memory"] = memory
		}

		return set
	}

	return map[string]any{
		"requests": bounds(c.resources.CPURequests(), c.resources.MemoryRequests()),
		"limits":   bounds(c.resources.CPULimits(), c.resources.MemoryLimits()),
	}
}
