package machineconfig

import (
	stdx509 "crypto/x509"
	"testing"
	"time"
)

func TestEtcdKnowsItsClientByTheClustersAuthority(t *testing.T) {
	secrets, err := newSecrets(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	config, err := secrets.EtcdTLS()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := stdx509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	_, err = leaf.Verify(stdx509.VerifyOptions{Roots: config.RootCAs, KeyUsages: []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Error(err)
	}
	if life := time.Until(leaf.NotAfter); life > etcdClientLife || life < etcdClientLife-time.Minute {
		t.Errorf("it is valid for %s", life)
	}
}
