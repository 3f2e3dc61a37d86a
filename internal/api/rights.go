// SPDX-License-Identifier: Apache-2.0

package api

import "supervisor/internal/certs"

// Role is what somebody who asks may do. The zero value may nothing.
type Role uint8

// The roles.
const (
	Nobody   Role = iota
	Reader        // looks
	Operator      // gives orders as well
	Local         // on the socket of this host: asks for its gate as well
)

// right is what a route asks of whoever takes it. The zero value is given to
// nobody: a route that stands in no row is closed.
type right uint8

const (
	closed right = iota
	look
	act
	// here is of this host alone: an answer to its gate may use up the marker of a
	// clean drain, which stands for one start.
	here
)

// rights has a row for every route, under the name it is registered by.
var rights = map[string]right{
	"GET /metrics":                    look,
	"GET /healthz":                    look,
	"GET /readyz":                     look,
	"GET /version":                    look,
	"GET /v1/status":                  look,
	"GET /v1/nodes":                   look,
	"GET /v1/nodes/{name}":            look,
	"GET /v1/explain/{subject}":       look,
	"GET /v1/incidents":               look,
	"GET /v1/incidents/{id}":          look,
	"GET /v1/incidents/{id}/timeline": look,
	"GET /v1/findings":                look,
	"GET /v1/findings/{code}":         look,
	"GET /v1/repairs":                 look,
	"GET /v1/repairs/{id}":            look,
	"GET /v1/repairs/plan/{node}":     look,
	"GET /v1/pools":                   look,
	"GET /v1/policy":                  look,
	"GET /v1/audit":                   look,
	"GET /v1/orders/{request}":        look,
	"GET /v1/events":                  look,
	"GET /v1/recording":               look,
	"POST /v1/plans":                  act,
	"POST /v1/orders":                 act,
	"POST /v1/gate":                   here,
	"/{rest...}":                      look, // says that there is no such path
}

// May tells whether a role is enough for a route. All who come in by any door
// are judged here and nowhere else.
func May(r Role, route string) bool {
	switch rights[route] {
	case look:
		return r == Reader || r == Operator || r == Local
	case act:
		return r == Operator || r == Local
	case here:
		return r == Local
	}
	return false
}

// roleOf is what the bearer of a certificate may do.
func roleOf(k certs.Kind) Role {
	switch k {
	case certs.OfHost, certs.OfReader:
		return Reader
	case certs.OfOperator:
		return Operator
	}
	return Nobody
}
