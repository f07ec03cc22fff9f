package main

import (
	"encoding/json"
	"os"

	rbac "k8s.io/api/rbac/v1"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

// printPolicy prints the cluster roles and bindings that every API server makes for itself, as one JSON list. The API
// server begins with that a second after it serves; a node that has the list creates them at once.
func printPolicy() int {
	var list []any

	for _, roles := range [][]rbac.ClusterRole{bootstrappolicy.ClusterRoles(), bootstrappolicy.ControllerRoles()} {
		for _, role := range roles {
			role.APIVersion, role.Kind = rbac.SchemeGroupVersion.String(), "ClusterRole"
			list = append(list, role)
		}
	}

	for _, bindings := range [][]rbac.ClusterRoleBinding{bootstrappolicy.ClusterRoleBindings(), bootstrappolicy.ControllerRoleBindings()} {
		for _, binding := range bindings {
			binding.APIVersion, binding.Kind = rbac.SchemeGroupVersion.String(), "ClusterRoleBinding"
			list = append(list, binding)
		}
	}

	return report("bootstrap-policy", json.NewEncoder(os.Stdout).Encode(list))
}
