// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// defaultSocket is where a daemon listens when nothing else is said.
const defaultSocket = "/var/run/docker.sock"

// daemonMax bounds the start and the end of a daemon.
const daemonMax = time.Minute

// StartDaemon makes sure that a Docker daemon answers: the one that DOCKER_HOST or
// the usual socket names, else a dockerd of its own below dir, which stop ends. The
// environment names that one from then on. Its images are kept in dir.
func StartDaemon(ctx context.Context, dir string) (stop func() error, err error) {
	// Nothing is pulled, also not the image of the helper that cleans up elsewhere:
	// that is done by label here.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return nil, err
	}
	nothing := func() error { return nil }
	if os.Getenv("DOCKER_HOST") != "" || answers(defaultSocket) {
		return nothing, nil
	}
	socket := filepath.Join(dir, "docker.sock")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the daemon's folder: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "dockerd.log"))
	if err != nil {
		return nil, fmt.Errorf("make the daemon's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	c := exec.Command("dockerd", "--host", "unix://"+socket, "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"))
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for the test, which ends it afterwards
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start a Docker daemon (Debian's package is docker.io): %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	stop = func() error { return endDaemon(c.Process, ended) }
	if err := awaitDaemon(ctx, socket, ended); err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("%w: %s", err, lastLine(string(said))), stop())
	}
	return stop, os.Setenv("DOCKER_HOST", "unix://"+socket)
}

func awaitDaemon(ctx context.Context, socket string, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, daemonMax)
	defer cancel()
	for !answers(socket) {
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("the Docker daemon ended at its start: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("the Docker daemon does not answer: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func endDaemon(p *os.Process, ended chan error) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the Docker daemon: %w", err)
	}
	select {
	case <-ended:
		return nil
	case <-time.After(daemonMax):
		return errors.Join(errors.New("the Docker daemon did not end"), p.Kill())
	}
}

// answers tells whether somebody listens on a socket.
func answers(socket string) bool {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
