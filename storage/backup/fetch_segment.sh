# Hand one archived WAL file to a server that recovers. Arguments: the folder of the archive, the name, where to put it.
# Exit 1 means "there is none", which ends the recovery well; above 125 the server gives up instead of ending early.
set -u
umask 077
if [ ! -x "$1" ] || [ ! -r "$1" ]; then
    echo "archive: $1 cannot be read" >&2
    exit 200
fi
if [ ! -e "$1/$2.gz" ]; then
    exit 1
fi
if ! gzip -dc "$1/$2.gz" > "$3"; then
    echo "archive: $2 is damaged" >&2
    exit 200
fi
