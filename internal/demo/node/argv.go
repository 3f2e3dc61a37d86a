// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"supervisor/internal/demo/jars"
)

// Java 17 keeps these packages shut; without them Cassandra 5.0 dies at its
// start with an error that names the package.
var (
	exports = strings.Fields(`java.base/jdk.internal.misc java.management/com.sun.jmx.remote.security
		java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.rmi/sun.rmi.transport.tcp java.sql/java.sql
		java.base/java.lang.ref java.base/jdk.internal.ref java.base/jdk.internal.perf java.base/sun.nio.ch`)
	opens = strings.Fields(`java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref
		java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module
		java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal java.base/sun.nio.ch
		java.base/java.io java.base/java.lang java.base/java.lang.reflect java.base/java.util
		java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/java.nio
		java.base/java.net java.rmi/sun.rmi.transport.tcp`)
)

// memory keeps a node at about 850 MB resident, and cheap to start on a
// machine of two cores.
var memory = []string{"-Xms512M", "-Xmx512M", "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=128M", "-XX:TieredStopAtLevel=1"}

// waits are Cassandra's fixed delays for large clusters, shortened for three
// nodes on one machine.
var waits = []string{"-Dcassandra.ring_delay_ms=2000", "-Dcassandra.superuser_setup_delay_ms=0",
	"-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.broadcast_interval_ms=2000"}

// Argv is the command that runs the node; extra are the JVM options of the
// gate's answer, last so that they win.
func Argv(n Node, extra []string) []string {
	argv := []string{n.Java}
	for _, m := range exports {
		argv = append(argv, "--add-exports="+m+"=ALL-UNNAMED")
	}
	for _, m := range opens {
		argv = append(argv, "--add-opens="+m+"=ALL-UNNAMED")
	}
	argv = append(argv, memory...)
	argv = append(argv,
		"-XX:+PerfDisableSharedMem", "-Djava.io.tmpdir="+n.path("tmp"), // nothing left outside the folder
		"-Djdk.attach.allowAttachSelf=true",
		"-javaagent:"+filepath.Join(n.Jars, jars.Jamm),
		fmt.Sprintf("-javaagent:%s=port=%d,host=%s", filepath.Join(n.Jars, jars.Jolokia), JolokiaPort, n.admin()),
		"-Dcassandra.config="+fileURL(n.path("conf", "cassandra.yaml")),
		"-Dlogback.configurationFile="+fileURL(n.path("conf", "logback.xml")),
		"-Dcassandra.storagedir="+n.Dir,
		"-Dcassandra.logdir="+n.path("log"),
		"-Dcassandra-foreground=yes",
		fmt.Sprintf("-Dcassandra.jmx.local.port=%d", n.JMXPort))
	argv = append(argv, waits...)
	argv = append(argv, extra...)
	return append(argv, "-cp", n.path("conf")+":"+n.Jars+"/*", "org.apache.cassandra.service.CassandraDaemon")
}

func fileURL(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }
