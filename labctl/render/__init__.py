"""From a plan to libvirt XML, cloud-init documents and seed ISOs. Pure, but for reading the shipped templates."""
