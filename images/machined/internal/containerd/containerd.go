// Package containerd configures the container runtime of a node and fills it with the images that the node brings.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/reaper"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

const (
	// Socket is where containerd serves the CRI and its own API.
	Socket = "/run/containerd/containerd.sock"
	// Config is containerd's configuration file.
	Config = "/system/etc/containerd.toml"

	// imported marks, on the volume that holds containerd's data, the archive that was imported last.
	imported = "/var/lib/containerd/bronze-images"
)

// Options are what a host decides of containerd's configuration.
type Options struct {
	// RestrictOOM keeps containers from asking for a better OOM score than machined's own, which a host without
	// CAP_SYS_RESOURCE refuses.
	RestrictOOM bool
	// HostsDir holds a directory for each registry.
	HostsDir string
	// Logins is configuration that holds the credentials for registries.
	Logins string
}

// File answers the configuration file, which may hold credentials.
func File(options Options) rootfs.Step {
	content := fmt.Sprintf(`version = 4
root = '/var/lib/containerd'
state = '/run/containerd'
oom_score = 0
# Without it, as where the host is out of inotify instances, containerd would go on and never be of use to the kubelet. So
# it ends, and is started again until the host has some.
required_plugins = ['io.containerd.grpc.v1.cri']

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'registry.k8s.io/pause:3.10'
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '%s'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = %t
  disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.cni]
  # /opt is a volume: what a CNI add-on installs there lasts, what the node brings is out of its way.
  bin_dirs = ['/usr/lib/cni', '/opt/cni/bin']
  conf_dir = '/etc/cni/net.d'

[plugins.'io.containerd.nri.v1.nri']
  disable = true
`, options.HostsDir, options.RestrictOOM)

	return rootfs.File{Path: Config, Content: content + options.Logins, Mode: 0o600}
}

// Arguments is containerd's command line.
func Arguments() []string {
	return []string{"/usr/bin/containerd", "--config", Config, "--log-level", "warn"}
}

// Healthy tells whether containerd accepts connections, which it does only once the CRI is there.
func Healthy(ctx context.Context) error {
	var dialer net.Dialer

	conn, err := dialer.DialContext(ctx, "unix", Socket)
	if err != nil {
		return fmt.Errorf("connecting to containerd: %w", err)
	}

	return conn.Close()
}

// ImportImages brings the node's own images into containerd, once for each version of them.
func ImportImages(ctx context.Context, r *reaper.Reaper) error {
	stamp, err := stampOf(boot.ImageArchivePath)
	if err != nil {
		return err
	}

	if done, err := os.ReadFile(imported); err == nil && strings.TrimSpace(string(done)) == stamp {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read %s: %w", imported, err)
	}

	if _, err := r.Run(ctx, "/usr/bin/ctr", "--namespace", "k8s.io", "images", "import", "--local", boot.ImageArchivePath); err != nil {
		return fmt.Errorf("importing the node's images: %w", err)
	}

	return rootfs.File{Path: filepath.Clean(imported), Content: stamp, Mode: 0o644}.Do()
}

// stampOf tells archives apart by size and time; reading one through would cost what the stamp is to save.
func stampOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("cannot find the node's images: %w", err)
	}

	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().Unix()), nil
}
