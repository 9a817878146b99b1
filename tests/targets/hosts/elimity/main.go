// The Go library github.com/elimity-com/scim, with its users kept in memory and without PATCH, which the
// library leaves to whoever uses it. Arguments: port, token.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/elimity-com/scim"
	"github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
)

type users struct {
	lock sync.Mutex
	made int
	ids  []string
	kept map[string]scim.ResourceAttributes
}

func (u *users) shown(id string) scim.Resource {
	attributes := u.kept[id]
	resource := scim.Resource{ID: id, Attributes: attributes}
	if external, ok := attributes["externalId"].(string); ok {
		resource.ExternalID = optional.NewString(external)
	}
	return resource
}

func (u *users) taken(id string, attributes scim.ResourceAttributes) bool {
	name, _ := attributes["userName"].(string)
	for other, known := range u.kept {
		if theirs, _ := known["userName"].(string); other != id && strings.EqualFold(theirs, name) {
			return true
		}
	}
	return false
}

func (u *users) Create(_ *http.Request, attributes scim.ResourceAttributes) (scim.Resource, error) {
	u.lock.Lock()
	defer u.lock.Unlock()
	if u.taken("", attributes) {
		return scim.Resource{}, errors.ScimErrorUniqueness
	}
	u.made++
	id := fmt.Sprintf("u%d", u.made)
	u.ids = append(u.ids, id)
	u.kept[id] = attributes
	return u.shown(id), nil
}

func (u *users) Get(_ *http.Request, id string) (scim.Resource, error) {
	u.lock.Lock()
	defer u.lock.Unlock()
	if _, ok := u.kept[id]; !ok {
		return scim.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	return u.shown(id), nil
}

func (u *users) GetAll(_ *http.Request, params scim.ListRequestParams) (scim.Page, error) {
	u.lock.Lock()
	defer u.lock.Unlock()
	found := []scim.Resource{}
	for _, id := range u.ids {
		resource := u.shown(id)
		if params.FilterValidator == nil || params.FilterValidator.PassesFilter(resource.Attributes) == nil {
			found = append(found, resource)
		}
	}
	from := min(max(params.StartIndex-1, 0), len(found))
	to := min(from+params.Count, len(found))
	return scim.Page{TotalResults: len(found), Resources: found[from:to]}, nil
}

func (u *users) Replace(_ *http.Request, id string, attributes scim.ResourceAttributes) (scim.Resource, error) {
	u.lock.Lock()
	defer u.lock.Unlock()
	if _, ok := u.kept[id]; !ok {
		return scim.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	if u.taken(id, attributes) {
		return scim.Resource{}, errors.ScimErrorUniqueness
	}
	u.kept[id] = attributes
	return u.shown(id), nil
}

func (u *users) Delete(*http.Request, string) error {
	return errors.ScimError{Status: http.StatusNotImplemented}
}

func (u *users) Patch(*http.Request, string, []scim.PatchOperation) (scim.Resource, error) {
	return scim.Resource{}, errors.ScimError{Status: http.StatusNotImplemented}
}

func main() {
	port, token := os.Args[1], os.Args[2]
	server, err := scim.NewServer(&scim.ServerArgs{
		ServiceProviderConfig: &scim.ServiceProviderConfig{SupportFiltering: true},
		ResourceTypes: []scim.ResourceType{{
			Name:     "User",
			Endpoint: "/Users",
			Schema:   schema.CoreUserSchema(),
			Handler:  &users{kept: map[string]scim.ResourceAttributes{}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	bearer := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		server.ServeHTTP(w, r)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, http.StripPrefix("/scim", http.HandlerFunc(bearer))))
}
