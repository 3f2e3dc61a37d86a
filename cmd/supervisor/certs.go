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

// issuing is for whom a certificate is made.
type issuing struct {
	dir, region      string
	addresses        []net.IP
	operator, reader string
}

func newCertsIssue() *cobra.Command {
	var i issuing
	c := &cobra.Command{
		Use:   "issue {HOST --region NAME --address IP | --operator NAME | --reader NAME} --dir DIR",
		Short: "Make the certificate of a host, or of one who asks agents over the network",
		Long: "Writes HOST.pem and HOST.key. The certificate says whose it is: of the authority's cluster, of this\n" +
			"region and host, at these addresses.\n" +
			"With --operator or --reader it writes NAME.pem and NAME.key for a person, or a program of yours, that\n" +
			"asks agents at their api.listen. An operator may act, under that name; a reader may look. Such a\n" +
			"certificate opens no store, and nothing takes it back before its end but another authority.",
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if i.operator != "" || i.reader != "" {
				return i.person(c, args)
			}
			return i.host(c, args)
		},
	}
	c.Flags().StringVar(&i.dir, "dir", "", "directory of the authority")
	c.Flags().StringVar(&i.region, "region", "", "the host's region, as in its agent.yaml")
	c.Flags().IPSliceVar(&i.addresses, "address", nil, "address at which others reach the host; may be given again")
	c.Flags().StringVar(&i.operator, "operator", "", "name of a person who may act")
	c.Flags().StringVar(&i.reader, "reader", "", "name of one who may look")
	return c
}

func (i issuing) host(c *cobra.Command, args []string) error {
	if err := oneArg("the name of a host")(c, args); err != nil {
		return err
	}
	if i.dir == "" || i.region == "" || len(i.addresses) == 0 {
		return usage(c, errors.New("--dir, --region and --address are needed"))
	}
	for _, name := range []string{args[0], i.region} {
		if err := settings.CheckName(name); err != nil {
			return usage(c, err)
		}
	}
	if err := certs.Issue(i.dir, certs.Host{Name: args[0], Region: i.region, Addresses: i.addresses}, time.Now()); err != nil {
		return certFailure(err)
	}
	i.issued(c, args[0], certs.HostDays)
	return nil
}

func (i issuing) person(c *cobra.Command, args []string) error {
	kind, name := certs.OfOperator, i.operator
	if name == "" {
		kind, name = certs.OfReader, i.reader
	}
	switch {
	case i.dir == "":
		return usage(c, errors.New("--dir is needed"))
	case len(args) > 0 || i.region != "" || len(i.addresses) > 0 || i.operator != "" && i.reader != "":
		return usage(c, errors.New("one certificate is made at once: of HOST with --region and --address, of an --operator, or of a --reader"))
	}
	if err := settings.CheckName(name); err != nil {
		return usage(c, err)
	}
	if err := certs.IssuePerson(i.dir, kind, name, time.Now()); err != nil {
		return certFailure(err)
	}
	i.issued(c, name, certs.PersonDays)
	return nil
}

func (i issuing) issued(c *cobra.Command, name string, valid int) {
	fmt.Fprintf(c.OutOrStdout(), "%s and %s: valid %d days\n", filepath.Join(i.dir, name+".pem"), filepath.Join(i.dir, name+".key"), valid)
}

func certFailure(err error) error {
	if errors.Is(err, certs.ErrExists) {
		return failure{err: err, code: "CERT_EXISTS", exit: exitRefused, remedy: []string{"Nothing was written. Move the old files away first."}}
	}
	return err
}
