package kubernetes

import (
	"context"
	stdx509 "crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/siderolabs/crypto/x509"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

const (
	kubeletSigner  = "kubernetes.io/kube-apiserver-client-kubelet"
	bootstrapGroup = "system:bootstrappers:nodes"
	requestsPath   = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	nodeNamePrefix = "system:node:"
	nodeGroup      = "system:nodes"
)

// Requests approves and signs the certificate that a kubelet asks for with the bootstrap token. The controller manager
// does so too, by the same rules, and for renewals it alone does; but it is up a second later, and every new worker
// waits for this.
type Requests struct {
	API *kubeapi.Client
	// CA is the cluster's certificate authority with its key.
	CA *x509.PEMEncodedCertificateAndKey
}

// Run blocks until ctx ends.
func (r Requests) Run(ctx context.Context) error {
	return r.API.Watch(ctx, requestsPath, r.handle)
}

func (r Requests) handle(ctx context.Context, object kubeapi.Object) error {
	if object.Text("status", "certificate") != "" || object.Text("spec", "signerName") != kubeletSigner {
		return nil
	}

	request, err := bootstrapRequest(object)
	if err != nil {
		// Not one for us; somebody else decides.
		return nil
	}

	if len(object.List("status", "conditions")) == 0 {
		object, err = r.approve(ctx, object)
		if err != nil {
			return ignoreConflict(err)
		}
	}

	return ignoreConflict(r.sign(ctx, object, request))
}

// ignoreConflict forgives losing a race against the controller manager: what it did comes back through the watch.
func ignoreConflict(err error) error {
	if kubeapi.IsStatus(err, http.StatusConflict) || kubeapi.IsStatus(err, http.StatusNotFound) {
		return nil
	}

	return err
}

// bootstrapRequest answers the X.509 request if it is one that a bootstrapping kubelet may make: by a bootstrap token of
// the nodes' group, for a client certificate of one node, naming nothing else.
func bootstrapRequest(object kubeapi.Object) (*stdx509.CertificateRequest, error) {
	if !slices.Contains(object.Strings("spec", "groups"), bootstrapGroup) {
		return nil, errors.New("the requestor is no bootstrapping node")
	}

	encoded, err := base64.StdEncoding.DecodeString(object.Text("spec", "request"))
	if err != nil {
		return nil, fmt.Errorf("cannot decode the request: %w", err)
	}

	block, _ := pem.Decode(encoded)
	if block == nil {
		return nil, errors.New("the request holds no PEM block")
	}

	request, err := stdx509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the request: %w", err)
	}

	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("cannot trust the request: %w", err)
	}

	named := len(request.DNSNames) + len(request.IPAddresses) + len(request.EmailAddresses) + len(request.URIs)
	name, isNode := strings.CutPrefix(request.Subject.CommonName, nodeNamePrefix)

	if named > 0 || !isNode || name == "" || !slices.Equal(request.Subject.Organization, []string{nodeGroup}) {
		return nil, errors.New("the request is for more than a node's client certificate")
	}

	return request, nil
}

func (r Requests) approve(ctx context.Context, object kubeapi.Object) (kubeapi.Object, error) {
	object.Set([]any{map[string]any{
		"type":    "Approved",
		"status":  "True",
		"reason":  "BootstrapToken",
		"message": "Approved by machined: a node asked with a bootstrap token.",
	}}, "status", "conditions")

	var approved kubeapi.Object
	err := r.API.Do(ctx, kubeapi.Request{Method: http.MethodPut, Path: requestPath(object) + "/approval", Body: object}, &approved)

	return approved, err
}

func (r Requests) sign(ctx context.Context, object kubeapi.Object, request *stdx509.CertificateRequest) error {
	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(r.CA)
	if err != nil {
		return fmt.Errorf("cannot read the cluster's certificate authority: %w", err)
	}

	certificate, err := x509.NewCertificateFromCSR(authority.Crt, authority.Key, request,
		x509.NotBefore(time.Now().Add(-clockSkew)),
		x509.NotAfter(time.Now().Add(certificateLifetime)),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}))
	if err != nil {
		return fmt.Errorf("cannot sign the certificate of %s: %w", request.Subject.CommonName, err)
	}

	object.Set(base64.StdEncoding.EncodeToString(certificate.X509CertificatePEM), "status", "certificate")

	return r.API.Do(ctx, kubeapi.Request{Method: http.MethodPut, Path: requestPath(object) + "/status", Body: object}, nil)
}

func requestPath(object kubeapi.Object) string {
	return requestsPath + "/" + url.PathEscape(object.Name())
}
