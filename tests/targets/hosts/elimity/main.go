// The Go library github.com/elimity-com/scim, with users and groups kept in memory and without PATCH, which the library
// leaves to its users. Arguments: port, token.
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

type resources struct {
	lock sync.Mutex
	// The prefix of their ids, and the attribute that must be unique.
	begin, unique string
	made          int
	ids           []string
	kept          map[string]scim.ResourceAttributes
}

func keptAs(begin, unique string) *resources {
	return &resources{begin: begin, unique: unique, kept: map[string]scim.ResourceAttributes{}}
}

func (r *resources) shown(id string) scim.Resource {
	attributes := r.kept[id]
	resource := scim.Resource{ID: id, Attributes: attributes}
	if external, ok := attributes["externalId"].(string); ok {
		resource.ExternalID = optional.NewString(external)
	}
	return resource
}

func (r *resources) taken(id string, attributes scim.ResourceAttributes) bool {
	name, _ := attributes[r.unique].(string)
	for other, known := range r.kept {
		if theirs, _ := known[r.unique].(string); other != id && strings.EqualFold(theirs, name) {
			return true
		}
	}
	return false
}

func (r *resources) Create(_ *http.Request, attributes scim.ResourceAttributes) (scim.Resource, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.taken("", attributes) {
		return scim.Resource{}, errors.ScimErrorUniqueness
	}
	r.made++
	id := fmt.Sprintf("%s%d", r.begin, r.made)
	r.ids = append(r.ids, id)
	r.kept[id] = attributes
	return r.shown(id), nil
}

func (r *resources) Get(_ *http.Request, id string) (scim.Resource, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if _, ok := r.kept[id]; !ok {
		return scim.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	return r.shown(id), nil
}

func (r *resources) GetAll(_ *http.Request, params scim.ListRequestParams) (scim.Page, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	found := []scim.Resource{}
	for _, id := range r.ids {
		resource := r.shown(id)
		if params.FilterValidator == nil || params.FilterValidator.PassesFilter(resource.Attributes) == nil {
			found = append(found, resource)
		}
	}
	from := min(max(params.StartIndex-1, 0), len(found))
	to := min(from+params.Count, len(found))
	return scim.Page{TotalResults: len(found), Resources: found[from:to]}, nil
}

func (r *resources) Replace(_ *http.Request, id string, attributes scim.ResourceAttributes) (scim.Resource, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if _, ok := r.kept[id]; !ok {
		return scim.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	if r.taken(id, attributes) {
		return scim.Resource{}, errors.ScimErrorUniqueness
	}
	r.kept[id] = attributes
	return r.shown(id), nil
}

func (r *resources) Delete(*http.Request, string) error {
	return errors.ScimError{Status: http.StatusNotImplemented}
}

func (r *resources) Patch(*http.Request, string, []scim.PatchOperation) (scim.Resource, error) {
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
			Handler:  keptAs("u", "userName"),
		}, {
			Name:     "Group",
			Endpoint: "/Groups",
			Schema:   schema.CoreGroupSchema(),
			Handler:  keptAs("g", "displayName"),
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
