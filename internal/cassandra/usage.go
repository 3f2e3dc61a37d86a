// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"fmt"
	"slices"
)

// ConnectedTo lists the keyspaces that clients of this node are connected with. A
// client that names its tables in full is connected with none.
func (s *Session) ConnectedTo(ctx context.Context) ([]string, error) {
	out := []string{}
	err := s.each(ctx, "SELECT keyspace_name FROM system_views.clients", func(scan func(...any) error) error {
		var keyspace *string
		if err := scan(&keyspace); err != nil {
			return err
		}
		if keyspace != nil && *keyspace != "" && !slices.Contains(out, *keyspace) {
			out = append(out, *keyspace)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read clients: %w", err)
	}
	slices.Sort(out)
	return out, nil
}

// CDCTables lists the tables, as keyspace.table, whose changes this node keeps for
// others to take away; none where it keeps none of any.
func (s *Session) CDCTables(ctx context.Context) ([]string, error) {
	enabled, told := false, false
	err := s.each(ctx, "SELECT value FROM system_views.settings WHERE name = 'cdc_enabled'", func(scan func(...any) error) error {
		var value string
		if err := scan(&value); err != nil {
			return err
		}
		enabled, told = value == "true", true
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read whether changes are kept: %w", err)
	case !told:
		return nil, fmt.Errorf("read whether changes are kept: %w: no setting cdc_enabled", ErrNonsense)
	case !enabled:
		return []string{}, nil
	}
	out := []string{}
	err = s.each(ctx, "SELECT keyspace_name, table_name, cdc FROM system_schema.tables", func(scan func(...any) error) error {
		var keyspace, table string
		var cdc *bool
		if err := scan(&keyspace, &table, &cdc); err != nil {
			return err
		}
		if cdc != nil && *cdc {
			out = append(out, keyspace+"."+table)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read tables whose changes are kept: %w", err)
	}
	slices.Sort(out)
	return out, nil
}
