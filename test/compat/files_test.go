//go:build e2e

package compat

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"
)

func fileLines() []line {
	return []line{
		{name: "list", talosctl: []string{"list", "-l", "/etc"}, do: list},
		{name: "list recursively", talosctl: []string{"list", "-r", "/etc/kubernetes"}, do: listAll},
		{name: "list what is not there", talosctl: []string{"list", "/missing"}, refused: true, do: listMissing},
		{name: "usage", talosctl: []string{"usage", "/var/log"}, do: usage},
		{name: "read", talosctl: []string{"read", "/etc/os-release"}, do: read},
		{name: "read what is not there", talosctl: []string{"read", "/missing"}, refused: true, do: readMissing},
		{name: "copy", do: copyOut},
	}
}

// receive answers all of a stream's messages.
func receive[M any](stream interface{ Recv() (M, error) }, err error) ([]M, error) {
	if err != nil {
		return nil, err
	}

	var all []M

	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}

		if err != nil {
			return all, err
		}

		all = append(all, message)
	}
}

func listed(ctx context.Context, c *cluster, request *machine.ListRequest) (map[string]*machine.FileInfo, error) {
	stream, err := c.client.LS(ctx, request)

	infos, err := receive(stream, err)
	if err != nil {
		return nil, err
	}

	byName := map[string]*machine.FileInfo{}
	for _, info := range infos {
		byName[info.GetRelativeName()] = info
	}

	return byName, nil
}

func list(ctx context.Context, c *cluster, _ string) error {
	infos, err := listed(ctx, c, &machine.ListRequest{Root: "/etc"})
	if err != nil {
		return err
	}

	release := infos["os-release"]

	return want(release.GetSize() > 0 && !release.GetIsDir() && infos["kubernetes"].GetIsDir(), "os-release is %v, kubernetes %v", release, infos["kubernetes"])
}

func listAll(ctx context.Context, c *cluster, _ string) error {
	infos, err := listed(ctx, c, &machine.ListRequest{Root: "/etc", Recurse: true, Types: []machine.ListRequest_Type{machine.ListRequest_REGULAR}})
	if err != nil {
		return err
	}

	deep := false
	for name := range infos {
		deep = deep || strings.Contains(name, "/")
	}

	return want(deep, "the list knows no file in a directory below /etc")
}

func listMissing(ctx context.Context, c *cluster, _ string) error {
	stream, err := c.client.LS(ctx, &machine.ListRequest{Root: "/missing"})
	infos, err := receive(stream, err)

	return want(err != nil || (len(infos) == 1 && infos[0].GetError() != ""), "the answer is %v", infos)
}

func usage(ctx context.Context, c *cluster, _ string) error {
	stream, err := c.client.DiskUsage(ctx, &machine.DiskUsageRequest{Paths: []string{"/var"}, RecursionDepth: 1})

	infos, err := receive(stream, err)
	if err != nil {
		return err
	}

	for _, info := range infos {
		if info.GetName() == "/var" || info.GetRelativeName() == "/var" || info.GetRelativeName() == "." {
			return want(info.GetSize() > 1<<20, "/var takes %d bytes", info.GetSize())
		}
	}

	return fmt.Errorf("none of %v is /var", infos)
}

func read(ctx context.Context, c *cluster, _ string) error {
	reader, err := c.client.Read(ctx, "/etc/os-release")
	if err != nil {
		return err
	}
	defer reader.Close()

	text, err := io.ReadAll(reader)

	return errors.Join(err, want(strings.Contains(string(text), "Bronze"), "os-release is %q", text))
}

func readMissing(ctx context.Context, c *cluster, _ string) error {
	reader, err := c.client.Read(ctx, "/missing")
	if err == nil {
		defer reader.Close()

		_, err = io.ReadAll(reader)
	}

	return want(client.StatusCode(err) == codes.NotFound || strings.Contains(fmt.Sprint(err), "no such file"), "the error is %v", err)
}

func copyOut(ctx context.Context, c *cluster, _ string) error {
	reader, err := c.client.Copy(ctx, "/etc")
	if err != nil {
		return err
	}
	defer reader.Close()

	unpacked, err := gzip.NewReader(reader)
	if err != nil {
		return err
	}

	archive := tar.NewReader(unpacked)

	for {
		header, err := archive.Next()
		if err != nil {
			return fmt.Errorf("looking for os-release: %w", err)
		}

		if strings.TrimPrefix(header.Name, "/") != "os-release" {
			continue
		}

		text, err := io.ReadAll(archive)

		return errors.Join(err, want(strings.Contains(string(text), "Bronze"), "os-release is %q", text))
	}
}
