// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"supervisor/internal/certs"
	"supervisor/internal/settings"
)

func newCertsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "certs",
		Short: "The certificates by which hosts know each other",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newCertsInit(), newCertsIssue())
	return c
}

func newCertsInit() *cobra.Command {
	var dir, name string
	c := &cobra.Command{
		Use:   "init --dir DIR --cluster NAME",
		Short: "Make an authority of the cluster's own",
		Long: "Writes ca.pem, which every host needs, and ca.key, which signs and stays off the hosts. Never over\n" +
			"others. A site that has an authority uses that one: a host's certificate names the host as common\n" +
			"name, holds its addresses, and serves as server and client. One that bears no URI\n" +
			"supervisor://CLUSTER/REGION/host/NAME does not tell of which cluster and region it is.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" || name == "" {
				return usage(c, errors.New("--dir and --cluster are needed"))
			}
			if err := settings.CheckName(name); err != nil {
				return usage(c, err)
			}
			if err := certs.Init(dir, name, time.Now()); err != nil {
				return certFailure(err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s and %s: valid %d years. Keep the key off the hosts.\n",
				filepath.Join(dir, certs.CAFile), filepath.Join(dir, certs.CAKeyFile), certs.CAYears)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory of the authority")
	c.Flags().StringVar(&name, "cluster", "", "the cluster's name")
	return c
}

func newCertsIssue() *cobra.Command {
	var dir, region string
	var addresses []net.IP
	c := &cobra.Command{
		Use:   "issue HOST --dir DIR --region NAME --address IP",
		Short: "Make the certificate of a host",
		Long: "Writes HOST.pem and HOST.key. The certificate says whose it is: of the authority's cluster, of this\n" +
			"region and host, at these addresses.",
		Args: oneArg("the name of a host"),
		RunE: func(c *cobra.Command, args []string) error {
			if dir == "" || region == "" || len(addresses) == 0 {
				return usage(c, errors.New("--dir, --region and --address are needed"))
			}
			for _, name := range []string{args[0], region} {
				if err := settings.CheckName(name); err != nil {
					return usage(c, err)
				}
			}
			if err := certs.Issue(dir, certs.Host{Name: args[0], Region: region, Addresses: addresses}, time.Now()); err != nil {
				return certFailure(err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s and %s: valid %d days\n",
				filepath.Join(dir, args[0]+".pem"), filepath.Join(dir, args[0]+".key"), certs.HostDays)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory of the authority")
	c.Flags().StringVar(&region, "region", "", "the host's region, as in its agent.yaml")
	c.Flags().IPSliceVar(&addresses, "address", nil, "address at which others reach the host; may be given again")
	return c
}

func certFailure(err error) error {
	if errors.Is(err, certs.ErrExists) {
		return failure{err: err, code: "CERT_EXISTS", exit: exitRefused, remedy: []string{"Nothing was written. Move the old files away first."}}
	}
	return err
}
