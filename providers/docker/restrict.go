package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/provision"
)

// isolationNow is how containers are isolated as far as is known: as was found out before, or else as this host lets
// expect.
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
	known, ok := recall(p.memoryPath(info))
	if !ok {
		known = p.expected(info)
	}
	p.isolation = &known
	return known, nil
}

// expected is privileged, unless the engine is on this host and this process lacks a capability here: then the engine's
// lacks it too, and a start that must fail is spared. Where that is wrong, the node only gets less than it could.
func (p *Provider) expected(info system.Info) isolation {
	set, err := p.held(info)
	last, lastErr := lastCapability()
	if err != nil || lastErr != nil || !lacks(set, last) {
		return isolation{}
	}
	return isolationOf(set, info)
}

func isolationOf(set uint64, info system.Info) isolation {
	return isolation{
		Capabilities: namesOf(set),
		AppArmor:     slices.Contains(info.SecurityOptions, "name=apparmor"),
	}
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
	found := isolationOf(held, info)
	p.isolation = &found
	return found, remember(p.memoryPath(info), found)
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

// held is the set of capabilities of this process, which stands for the engine's where both are on one host: a host is
// restricted as a whole.
func (p *Provider) held(info system.Info) (uint64, error) {
	if !p.local(info) {
		err := fmt.Errorf("cannot run privileged containers on the engine at %s", p.host)
		return 0, provision.WithHint(err, "run bronze on the engine's own host, so that it can see which capabilities are held")
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("cannot tell which capabilities are held: %w", err)
	}
	return boundingSet(string(status))
}

// lastCapability is the highest number that the kernel knows.
func lastCapability() (int, error) {
	text, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return 0, fmt.Errorf("cannot tell how many capabilities there are: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
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

// recall reads what was remembered; nothing, or something unreadable, is to be found out anew.
func recall(path string) (known isolation, ok bool) {
	text, err := os.ReadFile(path)
	if path == "" || err != nil || json.Unmarshal(text, &known) != nil {
		return isolation{}, false
	}
	return known, true
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
