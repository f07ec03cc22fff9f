package honoured

// documents are the config documents with a kind.
func documents() []Field {
	const (
		engines = "The engine gives a container node its interfaces, addresses and routes."
		clock   = "The clock is the host's; the servers are shown and not asked."
	)

	fields := []Field{
		document("RegistryMirrorConfig", Live, "As machine.registries.mirrors."),
		document("RegistryAuthConfig", Live, "As machine.registries.config.auth."),
		document("RegistryTLSConfig", Live, "As machine.registries.config.tls."),
		document("StaticHostConfig", Live, "A line of /etc/hosts."),
		document("ResolverConfig", Live, "As machine.network.nameservers and searchDomains."),
		document("HostnameConfig", Live, "`auto` is the engine's name for the container."),
		{Kind: "HostnameConfig", Path: "hostname", State: Warned, Note: engineNames},
		document("EnvironmentConfig", Live, "As machine.env."),
		document("TimeSyncConfig", Warned, clock),
		document("TrustedRootsConfig", Warned, "Programs of the node trust Mozilla's authorities."),
		document("ImageVerificationConfig", Refused, "Images are not verified, and a node that seems to do so would be worse than none."),
		document("NetworkRuleConfig", Refused, "A container node has no packet filter of its own: filter on the host."),
		document("NetworkDefaultActionConfig", Refused, "A container node has no packet filter of its own: filter on the host."),
		document("KmsgLogConfig", Warned, "The kernel's log is the host's."),
		document("EventSinkConfig", Warned, "Ask for events with `talosctl events`."),
		document("ExtensionServiceConfig", Warned, "The node image has no extensions."),
		document("SideroLinkConfig", Warned, "A node takes no orders from outside its cluster."),
		document("OOMConfig", Warned, hostOwned),
		document("WatchdogTimerConfig", Warned, hostOwned),
		document("PCIDriverRebindConfig", Warned, hostOwned),
	}

	for _, kind := range []string{
		"BlackholeRouteConfig", "BondConfig", "BridgeConfig", "DHCPv4Config", "DHCPv6Config", "DummyLinkConfig", "EthernetConfig",
		"HCloudVIPConfig", "KubeSpanConfig", "KubeSpanEndpointsConfig", "Layer2VIPConfig", "LinkAliasConfig", "LinkConfig",
		"RoutingRuleConfig", "TCPProbeConfig", "VLANConfig", "VRFConfig", "WireguardConfig",
	} {
		fields = append(fields, document(kind, Warned, engines))
	}

	for _, kind := range []string{
		"ExistingVolumeConfig", "ExternalVolumeConfig", "RawVolumeConfig", "SwapVolumeConfig", "UserVolumeConfig", "VolumeConfig", "ZswapConfig",
	} {
		fields = append(fields, document(kind, Warned, noDisk))
	}

	return fields
}

func document(kind string, state State, note string) Field {
	return Field{Kind: kind, State: state, Note: note}
}
