// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Tool runs Cassandra's own nodetool against the node and waits for its end.
func Tool(ctx context.Context, n Node, args ...string) error {
	argv := []string{"-Xmx128M", "-XX:+PerfDisableSharedMem", "-Djava.io.tmpdir=" + n.path("tmp"), "-Dcom.sun.jndi.rmiURLParsing=legacy",
		"-Dlogback.configurationFile=" + fileURL(n.path("conf", "logback.xml")), "-Dcassandra.storagedir=" + n.path("tmp"), "-Duser.home=" + n.path("tmp")}
	for _, m := range exports {
		argv = append(argv, "--add-exports="+m+"=ALL-UNNAMED")
	}
	for _, m := range opens {
		argv = append(argv, "--add-opens="+m+"=ALL-UNNAMED")
	}
	argv = append(argv, "-cp", filepath.Join(n.Jars, "*"), "org.apache.cassandra.tools.NodeTool", "-h", "127.0.0.1", "-p", strconv.Itoa(n.JMXPort))
	out, err := exec.CommandContext(ctx, n.Java, append(argv, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("nodetool %s on %s: %w: %s", args[0], n.Name, err, out[max(0, len(out)-400):])
	}
	return nil
}
