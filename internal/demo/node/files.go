// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// config is a small node: the memory figures keep three of them below 3 GiB.
// commitlog_sync_period is Cassandra's default and the reason why a killed
// process loses acknowledged writes.
var config = template.Must(template.New("cassandra.yaml").Parse(`cluster_name: {{.ClusterName}}
num_tokens: {{len .Node.Tokens}}
initial_token: "{{.TokenList}}"
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: GossipingPropertyFileSnitch
listen_address: {{.Node.Address}}
rpc_address: {{.Node.Address}}
native_transport_port: {{.CQLPort}}
storage_port: {{.StoragePort}}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "{{.SeedList}}"}]
commitlog_sync: periodic
commitlog_sync_period: 10000ms
disk_failure_policy: stop
commit_failure_policy: stop
data_file_directories: [{{printf "%q" .Node.DataDir}}]
commitlog_directory: {{.Folder "commitlog"}}
saved_caches_directory: {{.Folder "saved_caches"}}
hints_directory: {{.Folder "hints"}}
cdc_raw_directory: {{.Folder "cdc"}}
concurrent_reads: 8
concurrent_writes: 8
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
commitlog_segment_size: 8MiB
commitlog_total_space: 128MiB
file_cache_size: 32MiB
key_cache_size: 8MiB
counter_cache_size: 2MiB
networking_cache_size: 32MiB
auto_snapshot: false
hinted_handoff_enabled: true
max_hint_window: {{.HintWindow}}
`))

type settings struct {
	Node                                         Node
	ClusterName, TokenList, SeedList, HintWindow string
	CQLPort, StoragePort                         int
}

// Folder is a folder of the node as a quoted YAML string.
func (s settings) Folder(name string) string { return fmt.Sprintf("%q", s.Node.path(name)) }

// logging writes one file, rolled so that a cluster left running does not
// fill the disk. Nothing goes to stdout but what the JVM itself prints.
const logging = `<configuration>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>%s</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>%s.%%i</fileNamePattern><minIndex>1</minIndex><maxIndex>2</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy"><maxFileSize>20MB</maxFileSize></triggeringPolicy>
    <encoder><pattern>%%-5level [%%thread] %%date{ISO8601} %%F:%%L - %%msg%%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra.repair.ValidationManager" level="DEBUG"/>
  <root level="INFO"><appender-ref ref="FILE"/></root>
</configuration>
`

// Write makes the node's folders and configuration files.
func Write(n Node) error {
	for _, dir := range []string{n.DataDir(), n.path("conf"), n.path("log"), n.path("tmp")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("prepare %s: %w", n.Name, err)
		}
	}
	for name, text := range Files(n) {
		if err := os.WriteFile(n.path("conf", name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("prepare %s: %w", n.Name, err)
		}
	}
	return nil
}

// Files are the configuration files of a node, by name.
func Files(n Node) map[string]string {
	var yaml strings.Builder
	err := config.Execute(&yaml, settings{Node: n, ClusterName: ClusterName, TokenList: n.tokenList(),
		SeedList: n.seedList(), HintWindow: HintWindow, CQLPort: CQLPort, StoragePort: StoragePort})
	if err != nil {
		panic(err) // a builder takes everything: only a wrong template gets here
	}
	return map[string]string{
		"cassandra.yaml":              yaml.String(),
		"cassandra-rackdc.properties": fmt.Sprintf("dc=%s\nrack=%s\n", n.Datacenter, n.Rack),
		"logback.xml":                 fmt.Sprintf(logging, xmlText(n.SystemLog()), xmlText(n.SystemLog())),
	}
}

// xmlText escapes what a path may hold and XML would read as its own.
func xmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(filepath.ToSlash(s))
}
