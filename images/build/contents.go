package build

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/bronze-os/bronze/images/node"
)

// contents is all that goes into an image.
type contents struct {
	tree tree
	// programs maps paths in the image to the binaries of the host that are put there.
	programs map[string]string
}

// parts is what an image is gathered from, besides the static files that every image has.
type parts struct {
	directories []node.Directory
	links       []node.Link
	packages    []tree
	components  []node.Component
}

// contents gathers the node image, which holds the container image.
func (b builder) contents(ctx context.Context, manifest node.Manifest) (contents, error) {
	packages, err := b.packages(ctx, manifest.Packages)
	if err != nil {
		return contents{}, err
	}

	inside, err := b.gather(ctx, containerParts(manifest, packages))
	if err != nil {
		return contents{}, fmt.Errorf("container image: %w", err)
	}

	archive, err := containerArchive(manifest.Container, inside.tree)
	if err != nil {
		return contents{}, fmt.Errorf("container image: %w", err)
	}

	all, err := b.gather(ctx, nodeParts(manifest, packages))
	if err != nil {
		return contents{}, err
	}

	for name, from := range inside.programs {
		all.programs[manifest.Container.Archive+":"+name] = from
	}

	return all, all.tree.addGenerated(manifest, archive)
}

func containerParts(manifest node.Manifest, packages map[string]tree) parts {
	p := parts{
		directories: manifest.Container.Directories,
		links:       manifest.Links,
		components:  []node.Component{manifest.Container.Component},
	}

	for _, wanted := range manifest.Packages {
		if wanted.Container {
			p.packages = append(p.packages, packages[wanted.Name])
		}
	}

	return p
}

func nodeParts(manifest node.Manifest, packages map[string]tree) parts {
	p := parts{directories: manifest.Directories, links: manifest.Links, components: manifest.Components}
	for _, wanted := range manifest.Packages {
		p.packages = append(p.packages, packages[wanted.Name])
	}

	return p
}

// packages answers the wanted files of each package, by its name.
func (b builder) packages(ctx context.Context, wanted []node.Package) (map[string]tree, error) {
	debs, err := b.fetch(ctx, wanted)
	if err != nil {
		return nil, err
	}

	files := map[string]tree{}
	for _, p := range wanted {
		if files[p.Name], err = unpack(ctx, p, debs[p.Name]); err != nil {
			return nil, err
		}
	}

	return files, nil
}

func (b builder) gather(ctx context.Context, p parts) (contents, error) {
	all := contents{tree: tree{}, programs: map[string]string{}}

	if err := all.tree.addStatic(filepath.Join(b.source, "images", "node", "rootfs")); err != nil {
		return all, err
	}

	if err := all.tree.addDirectories(layerBase, p.directories); err != nil {
		return all, err
	}

	if err := all.tree.addLinks(layerBase, p.links); err != nil {
		return all, err
	}

	for _, files := range p.packages {
		if err := all.tree.merge(files); err != nil {
			return all, err
		}
	}

	for _, c := range p.components {
		if err := b.addComponent(ctx, all, c); err != nil {
			return all, err
		}
	}

	return all, all.tree.check()
}

func (b builder) addComponent(ctx context.Context, all contents, c node.Component) error {
	dir, err := b.component(ctx, c)
	if err != nil {
		return err
	}

	in := layerComponents
	if c.Own {
		in = layerOwn
	}

	for _, program := range c.Programs {
		from := filepath.Join(dir, path.Base(program.Path))
		all.programs[program.Path] = from

		if err := all.tree.addFile(program.Path, in, 0o755, from); err != nil {
			return err
		}
	}

	return all.tree.addLinks(in, c.Links)
}

// addStatic adds the files of a directory of this repository. git keeps no modes but the executable bit, and no file of
// the static tree is a program.
func (t tree) addStatic(root string) error {
	return filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}

		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}

		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}

		return t.addData("/"+filepath.ToSlash(relative), layerBase, 0o644, data)
	})
}

// addGenerated adds to the node's tree the files that are made of the manifest.
func (t tree) addGenerated(manifest node.Manifest, archive []byte) error {
	if err := t.addData(manifest.Container.Archive, layerContainer, 0o644, archive); err != nil {
		return err
	}

	if err := t.addData("/usr/share/bronze/node.yaml", layerOwn, 0o644, node.Source()); err != nil {
		return err
	}

	return t.addData("/etc/os-release", layerOwn, 0o644, []byte(osRelease(manifest.Bronze)))
}

// osRelease is os-release(5) of a node; the kubelet reports PRETTY_NAME as the node's OS image.
func osRelease(version string) string {
	return fmt.Sprintf("NAME=\"Bronze\"\nID=bronze\nVERSION_ID=%s\nPRETTY_NAME=\"Bronze (%s)\"\n", version, version)
}

func (t tree) merge(part tree) error {
	for _, name := range part.paths() {
		if err := t.add(name, part[name]); err != nil {
			return err
		}
	}

	return nil
}
