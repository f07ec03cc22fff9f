package kubelet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/bronze-os/bronze/images/machined/internal/containerd"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
)

// configuration is the KubeletConfiguration, with the machine config's extraConfig laid over it.
func (k Kubelet) configuration() ([]byte, error) {
	type object = map[string]any

	kubelet := k.Config.Machine().Kubelet()

	settings := object{
		"apiVersion":         "kubelet.config.k8s.io/v1beta1",
		"kind":               "KubeletConfiguration",
		"address":            "0.0.0.0",
		"authentication":     object{"x509": object{"clientCAFile": caFile}, "webhook": object{"enabled": true}, "anonymous": object{"enabled": false}},
		"authorization":      object{"mode": "Webhook"},
		"clusterDNS":         k.clusterDNS(),
		"clusterDomain":      k.Config.Cluster().Network().DNSDomain(),
		"resolvConf":         k.ResolvConf,
		"rotateCertificates": !k.isControlPlane(),
		"staticPodPath":      kubernetes.ManifestsDir,
		// The kubelet sets limits below the node's own control group, on v1 and v2 alike.
		"cgroupDriver": "cgroupfs",
		"cgroupRoot":   "/",
		"failCgroupV1": false,
		"failSwapOn":   false,
		// A developer's disk is often nearly full, and it is the host's to free it.
		"evictionHard":                object{"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%", "imagefs.inodesFree": "0%"},
		"imageGCHighThresholdPercent": 100,
		"containerRuntimeEndpoint":    "unix://" + containerd.Socket,
		"serializeImagePulls":         false,
		// A container that starts a moment too early is tried again after a second, not after ten.
		"crashLoopBackOff":          object{"maxContainerRestartPeriod": "1s"},
		"shutdownGracePeriod":       "0s",
		"logging":                   object{"verbosity": 1},
		"kubeAPIQPS":                100,
		"kubeAPIBurst":              200,
		"registerWithTaints":        k.taints(),
		"protectKernelDefaults":     true,
		"nodeStatusUpdateFrequency": "10s",
		"syncFrequency":             "30s",
		"fileCheckFrequency":        "5s",
		"volumeStatsAggPeriod":      "2m",
	}

	if kubelet.DefaultRuntimeSeccompProfileEnabled() {
		settings["seccompDefault"] = true
	}

	if kubelet.DisableManifestsDirectory() && !k.isControlPlane() && len(k.Config.Machine().Pods()) == 0 {
		delete(settings, "staticPodPath")
	}

	if kubelet.SkipNodeRegistration() {
		// Without the API there is nobody to ask who may do what.
		settings["registerNode"] = false
		settings["authentication"] = object{"x509": object{"clientCAFile": caFile}, "webhook": object{"enabled": false}, "anonymous": object{"enabled": false}}
		settings["authorization"] = object{"mode": "AlwaysAllow"}
	}

	content, err := json.MarshalIndent(layOver(settings, kubelet.ExtraConfig()), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot encode the kubelet's configuration: %w", err)
	}

	return content, nil
}

// layOver answers under with over on top, object by object; under may be changed.
func layOver(under, over map[string]any) map[string]any {
	for key, value := range over {
		below, isObject := under[key].(map[string]any)
		if above, ok := value.(map[string]any); ok && isObject {
			under[key] = layOver(below, above)
		} else {
			under[key] = value
		}
	}

	return under
}

func (k Kubelet) clusterDNS() []string {
	if asked := k.Config.Machine().Kubelet().ClusterDNS(); len(asked) > 0 {
		return asked
	}

	var servers []string

	addresses, err := k.Config.Cluster().Network().DNSServiceIPs()
	if err != nil {
		return nil
	}

	for _, address := range addresses {
		servers = append(servers, address.String())
	}

	return servers
}

// taints are those that the Node has from the start; kubernetes.Self keeps them as the machine config has them.
func (k Kubelet) taints() []map[string]any {
	taints := []map[string]any{}
	marks := kubernetes.Taints(k.Config.Machine().NodeTaints(), k.isControlPlane() && !k.Config.Cluster().ScheduleOnControlPlanes())

	for _, key := range slices.Sorted(maps.Keys(marks)) {
		taints = append(taints, map[string]any{"key": key, "value": marks[key].Value, "effect": marks[key].Effect})
	}

	return taints
}
