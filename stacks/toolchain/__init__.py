"""The programs that Plinth needs: found, installed or built."""
