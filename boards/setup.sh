sudo bash -s -- $who <<'END_OF_CODESIGN'
# Lets one user of this board start codesign's agent, as root, without a password; and nothing else.
main() {
  set -eu
  user=$$1
  archive=$$(getent passwd "$$user" | cut -d : -f 6)/.codesign/agent-$digest.zip
  if [ ! -f "$$archive" ]; then
    echo "codesign: $$archive is not there; codesign deploy sends it: run that first, then paste this again" >&2
    exit 1
  fi
  folder=/usr/local/lib/codesign-board
  launcher=/usr/local/sbin/codesign-board
  mkdir -p -m 755 "$$folder" /usr/local/sbin
  umask 077
  trap 'rm -f "$$folder"/*.new' EXIT
  cp "$$archive" "$$folder/agent.new"
  echo "$digest  $$folder/agent.new" | sha256sum --check --quiet
  cat > "$$folder/launcher.new" <<'END_OF_LAUNCHER'
$launcher
END_OF_LAUNCHER
  cat > "$$folder/sudoers.new" <<END_OF_LINE
$rule ALL=(root) NOPASSWD: /usr/local/sbin/codesign-board ""
END_OF_LINE
  visudo -c -q -f "$$folder/sudoers.new"
  chmod 644 "$$folder/agent.new"
  chmod 755 "$$folder/launcher.new"
  chmod 440 "$$folder/sudoers.new"
  mv "$$folder/agent.new" "$$folder/agent.zip"
  mv "$$folder/launcher.new" "$$launcher"
  mv "$$folder/sudoers.new" /etc/sudoers.d/codesign-board
  # not "sudo -l", which is content with a rule that asks for a password; the agent ends at once where nothing comes
  if sudo -n -u "$$user" sudo -n "$$launcher" < /dev/null > /dev/null 2>&1; then
    echo "codesign: this board is set up for $$user"
  else
    echo "codesign: $$user cannot start $$launcher by sudo without a password (a later rule in /etc/sudoers.d may ask" \
      "for one), or it does not start; try: sudo -n $$launcher < /dev/null" >&2
    exit 1
  fi
}
main "$$@" < /dev/null
END_OF_CODESIGN
