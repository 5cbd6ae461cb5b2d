package kube

import "os"

// Backup stops the control plane's storage, keeps a copy of it, and goes on; see [Cluster.Restore].
func (c *Cluster) Backup() {
	c.t.Helper()
	c.offline(func() error {
		if err := os.RemoveAll(c.file("backup")); err != nil {
			return err
		}
		return os.CopyFS(c.file("backup"), os.DirFS(c.file("etcd")))
	})
}

// Restore puts back what the last Backup kept, as an operator does with the copy of a disk: the cluster is as it was
// then, and counts its revisions on from there.
func (c *Cluster) Restore() {
	c.t.Helper()
	c.offline(func() error {
		if err := os.RemoveAll(c.file("etcd")); err != nil {
			return err
		}
		return os.CopyFS(c.file("etcd"), os.DirFS(c.file("backup")))
	})
}

// offline does something to the storage while neither etcd nor the API server run.
func (c *Cluster) offline(work func() error) {
	c.t.Helper()
	c.StopAPI()
	c.Etcd.Stop()
	if err := work(); err != nil {
		c.t.Fatal(err)
	}
	c.Etcd.Start()
	c.API.Start()
	c.WaitReady()
}
