package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/provision"
)

// isolationNow is how containers are isolated as far as is known: privileged until that has failed once.
func (p *Provider) isolationNow(ctx context.Context) (isolation, error) {
	p.isolationMu.Lock()
	defer p.isolationMu.Unlock()
	if p.isolation != nil {
		return *p.isolation, nil
	}
	info, err := p.info(ctx)
	if err != nil {
		return isolation{}, err
	}
	known := recall(p.memoryPath(info))
	p.isolation = &known
	return known, nil
}

// restrict turns to what the engine can give after --privileged failed. It asks the host once, whoever calls first.
func (p *Provider) restrict(ctx context.Context) (isolation, error) {
	p.isolationMu.Lock()
	defer p.isolationMu.Unlock()
	if p.isolation != nil && len(p.isolation.Capabilities) > 0 {
		return *p.isolation, nil
	}
	info, err := p.info(ctx)
	if err != nil {
		return isolation{}, err
	}
	held, err := p.held(info)
	if err != nil {
		return isolation{}, err
	}
	p.isolation = &isolation{
		Capabilities: held,
		AppArmor:     slices.Contains(info.SecurityOptions, "name=apparmor"),
	}
	return *p.isolation, remember(p.memoryPath(info), *p.isolation)
}

// forget drops a capability that the engine does not know.
func (p *Provider) forget(ctx context.Context, capability string) (isolation, error) {
	p.isolationMu.Lock()
	defer p.isolationMu.Unlock()
	less := p.isolation.without(capability)
	p.isolation = &less
	info, err := p.info(ctx)
	if err != nil {
		return isolation{}, err
	}
	return less, remember(p.memoryPath(info), less)
}

// held lists the capabilities of this process, which stand for the engine's where both are on one host: a host is
// restricted as a whole.
func (p *Provider) held(info system.Info) ([]string, error) {
	unrestricted := fmt.Errorf("cannot run privileged containers on the engine at %s", p.host)
	if !p.local(info) {
		return nil, provision.WithHint(unrestricted, "run bronze on the engine's own host, so that it can see which capabilities are held")
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("cannot tell which capabilities are held: %w", err)
	}
	return heldCapabilities(string(status))
}

// local tells whether the engine runs on this very host: then its interfaces, routes and capabilities can be seen here.
// A socket alone proves nothing, as it may lead into a VM.
func (p *Provider) local(info system.Info) bool {
	name, err := os.Hostname()
	return runtime.GOOS == "linux" && strings.HasPrefix(p.host, "unix://") && err == nil && name == info.Name
}

// info asks the engine once: of what changes while a process lives, nothing is used.
func (p *Provider) info(ctx context.Context) (system.Info, error) {
	p.infoMu.Lock()
	defer p.infoMu.Unlock()
	if p.known != nil {
		return *p.known, nil
	}
	result, err := p.engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return system.Info{}, p.unreachable(err)
	}
	p.known = &result.Info
	return result.Info, nil
}

// memoryPath is where the engine's isolation is kept; empty where it is not. It ends with the engine's boot where that
// is known, as the next one may be less restricted.
func (p *Provider) memoryPath(info system.Info) string {
	if p.stateDir == "" || info.ID == "" {
		return ""
	}
	id := info.ID
	if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && p.local(info) {
		id += "-" + strings.TrimSpace(string(boot))
	}
	return filepath.Join(p.stateDir, "engine-"+strings.ReplaceAll(id, ":", "")+".json")
}

// recall reads what was remembered; nothing, or something unreadable, is found out anew.
func recall(path string) isolation {
	var known isolation
	text, err := os.ReadFile(path)
	if path == "" || err != nil || json.Unmarshal(text, &known) != nil {
		return isolation{}
	}
	return known
}

func remember(path string, known isolation) error {
	if path == "" {
		return nil
	}
	text, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("cannot encode: %w", err)
	}
	return provision.WriteFile(path, text)
}
