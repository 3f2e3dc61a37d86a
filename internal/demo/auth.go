// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// raiseAuth gives every node a replica of system_auth and fills it. Cassandra
// makes that keyspace with one replica for each row, so that without this step the loss of a
// node could lock clients out, and the quorum rules would say so.
func (p Plan) raiseAuth(ctx context.Context) error {
	session, err := p.session()
	if err != nil {
		return err
	}
	defer session.Close()
	alter := fmt.Sprintf("ALTER KEYSPACE system_auth WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}", Datacenter, len(p.Nodes))
	if err := whenNormal(ctx, session, alter); err != nil {
		return fmt.Errorf("raise system_auth: %w", err)
	}
	if err := session.AwaitSchemaAgreement(ctx); err != nil {
		return fmt.Errorf("raise system_auth: %w", err)
	}
	return Repair(ctx, p.Nodes[0], "system_auth")
}

// notNormal is Cassandra's refusal to change a replication factor while a
// node's status has not reached the coordinator: UP is gossiped a moment
// before NORMAL.
const notNormal = "not in normal state"

// whenNormal runs a statement again until all nodes are NORMAL to whoever
// coordinates it, or ctx ends.
func whenNormal(ctx context.Context, session *gocql.Session, statement string) error {
	for {
		err := session.Query(statement).WithContext(ctx).Exec()
		if err == nil || !strings.Contains(err.Error(), notNormal) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// session talks to all nodes, each of them coordinator in turn.
func (p Plan) session() (*gocql.Session, error) {
	var hosts []string
	for _, n := range p.Nodes {
		hosts = append(hosts, n.CQL())
	}
	c := gocql.NewCluster(hosts...)
	c.ProtoVersion = 4 // asking for it saves a connection that finds it out
	c.Timeout, c.ConnectTimeout = 10*time.Second, 5*time.Second
	c.PoolConfig.HostSelectionPolicy = gocql.RoundRobinHostPolicy()
	c.Consistency = gocql.Quorum
	session, err := c.CreateSession()
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return session, nil
}
